// What allocators read of a profile's file: an array with values for every layer and KV head.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace kvbench::lukv {

class ProfileArray {
 public:
  enum class Shape { kRowsFirst, kRowsLast };  // [rows, L, H] or [L, H, rows]

  ProfileArray() = default;  // no file
  // Nothing about the file is trusted: throws InputError with the file, the dataset and what was
  // found when it is not there, has another shape or holds a value outside [low, high].
  ProfileArray(std::filesystem::path path, std::string dataset, int64_t rows, Shape shape, float low,
               float high, std::string_view meaning);

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

// The protected tokens that a profile's group was made with. Throws InputError.
struct Protection {
  int64_t sink = 0, window = 0;
};
Protection read_protection(const std::filesystem::path& path, const std::string& group);

}  // namespace kvbench::lukv
