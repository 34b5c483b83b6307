// Weights out of safetensors files, memory-mapped. Files are untrusted: every offset, size and name
// is checked against the file before a byte is read.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kvbench {

class MappedFile;

// The tensors of a model folder (model.safetensors, or the shards that model.safetensors.index.json
// names), or of one .safetensors file.
class Weights {
 public:
  // Throws InputError naming the file and what is wrong with it.
  explicit Weights(const std::filesystem::path& model_dir);

  bool has(const std::string& name) const { return tensors_.contains(name); }

  // The tensor as `dtype` on `device`. Of the stored dtype on the CPU it is a view of the file,
  // kept alive by the tensor. Throws InputError when it is absent or not of `shape`.
  at::Tensor get(const std::string& name, const std::vector<int64_t>& shape, at::ScalarType dtype,
                 c10::Device device) const;

  // Elements of all tensors together, and their stored bytes.
  int64_t n_parameters() const;
  int64_t n_bytes() const;
  std::vector<std::string> names() const;

 private:
  struct Entry {
    std::shared_ptr<MappedFile> file;
    at::ScalarType dtype;
    std::vector<int64_t> shape;
    int64_t offset, n_bytes;  // in the file
  };

  void add_file(const std::filesystem::path& file);

  std::filesystem::path dir_;
  std::map<std::string, Entry> tensors_;
};

}  // namespace kvbench
