// What allocators read of a profile's file: an array with values for every layer and KV head.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "policies/allocator.h"

namespace kvbench::lukv {

class ProfileArray {
 public:
  enum class Shape { kRowsFirst, kRowsLast };  // [rows, L, H] or [L, H, rows]

  ProfileArray() = default;  // no file
  // Nothing about the file is trusted: throws InputError with the file, the dataset and what was
  // found when it is not there, has another shape or holds a value outside [low, high].
  ProfileArray(std::filesystem::path path, std::string dataset, int64_t rows, Shape shape,
               float low, float high, std::string_view meaning);

  bool empty() const { return values_.empty(); }
  // Throws InputError when the array is of a model with other layers or KV heads.
  void require_model(int64_t n_layers, int64_t n_kv_heads) const;

  const std::vector<float>& values() const { return values_; }
  // kRowsFirst: values of one row and layer, [H].
  std::span<const float> heads(int64_t row, int64_t layer) const;
  // kRowsLast: those of one head, [rows]; head counts through the layers.
  std::span<const float> rows(int64_t head) const;
  // Throws InputError unless each head's rows do not decrease.
  void require_nondecreasing() const;

 private:
  [[noreturn]] void fail(const std::string& reason) const;

  std::filesystem::path path_;
  std::string dataset_;
  int64_t n_rows_ = 0, n_layers_ = 0, n_kv_heads_ = 0;
  std::vector<int64_t> dims_;
  Shape shape_ = Shape::kRowsFirst;
  std::vector<float> values_;
};

// The parameters that all allocators with a profile have, and the checks of its file.
class ProfileFile {
 public:
  // Reads the parameters `profile` and `force`; `owner` names the allocator in messages.
  ProfileFile(Params& p, std::string owner);

  bool given() const { return !path_.empty(); }
  const std::filesystem::path& path() const { return path_; }

  // What the file says that `group` ("" = its root) was made with. Files of the official layout say
  // nothing of it. Throws InputError.
  void read_origin(const std::string& group);
  // Protected tokens that the group was made with. Throws InputError when the file does not say.
  int64_t sink() const { return require_stored(sink_, "sink"); }
  int64_t window() const { return require_stored(window_, "window"); }

  // Throws InputError when no file was given.
  void require_given() const;
  // The same, and when it was made with another scorer, protection or
  // model than it is paired with, unless `force` allows that. What the file does not say is not
  // compared.
  void require_pairing(const Pairing& pairing) const;

 private:
  int64_t require_stored(const std::optional<int64_t>& value, const char* name) const;

  std::string owner_, group_;
  std::filesystem::path path_;
  bool force_ = false;
  std::string scorer_, model_, model_hash_;  // empty = the file does not say
  std::optional<int64_t> sink_, window_;
};

}  // namespace kvbench::lukv
