// Weights out of safetensors files, which are untrusted (harness/base/safetensors.h).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/base/safetensors.h"

namespace kvbench {

// The tensors of a model folder (model.safetensors, or the shards that model.safetensors.index.json
// names), or of one .safetensors file.
class Weights {
 public:
  // Throws InputError naming the file and what is wrong with it. Of several shards each holds what
  // the index says it does; what a shard holds besides is ignored. Tensors in types that we do not
  // read are refused only when they are asked for.
  explicit Weights(const std::filesystem::path& model_dir);

  bool has(const std::string& name) const { return tensors_.contains(name); }

  // Throws InputError unless the tensor is there, of `shape`, and in a float type that we read.
  void check(const std::string& name, at::IntArrayRef shape) const;

  // Its type: "float32" (float64 too), "bfloat16" or "float16". Of a tensor that check accepts.
  std::string float_dtype(const std::string& name) const;

  // Throws InputError "FOLDER: <what>".
  [[noreturn]] void fail(const std::string& what) const;

  // The tensor as `dtype` on `device`. Throws InputError when it is absent, not of `shape`, or a
  // float type is asked for and integers or 8 bit codes are stored.
  at::Tensor get(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype,
                 c10::Device device) const;

  // The same into a contiguous tensor that is there, of the stored shape. Beside it no more memory
  // than a buffer of kBufferBytes is needed.
  void read(const std::string& name, const at::Tensor& into) const;
  static constexpr int64_t kBufferBytes = 4 << 20;

  // Elements of all tensors together, and their stored bytes.
  int64_t n_parameters() const;
  int64_t n_bytes() const;
  std::vector<std::string> names() const;

 private:
  struct Entry {
    std::shared_ptr<SafetensorsFile> file;
    SafetensorsFile::Tensor tensor;
  };

  const Entry& find(const std::string& name) const;
  static void check_shape(const std::string& name, const Entry& entry, at::IntArrayRef shape);
  // Adds those tensors of the file that `wanted` names, all of them when it is null.
  void add_file(const std::filesystem::path& file, const std::set<std::string>* wanted);

  std::filesystem::path dir_;
  std::map<std::string, Entry> tensors_;
  // For conversions. One for all: freed between the tensors that stay, many would leave holes.
  mutable std::vector<char> buffer_;
};

}  // namespace kvbench
