// The file of a model's gates: safetensors, with the same tensors "layers.L.NAME" for every layer
// of full attention. Nothing about it is trusted.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/safetensors.h"
#include "policies/scorer.h"

namespace kvbench {

class GateFile {
 public:
  explicit GateFile(const std::filesystem::path& path) : file_(path) {}

  // Throws InputError unless there are n_tensors for each layer.
  int64_t n_layers(size_t n_tensors) const;
  // The sizes of layer 0's tensor. Throws InputError unless they are n_dims sizes above 0.
  std::vector<int64_t> shape(const char* tensor, size_t n_dims) const;
  // As float32. Throws InputError when the tensor is missing, has another shape, is of another type
  // than float32, bfloat16 or float16, or holds a value that is not finite.
  at::Tensor read(int64_t layer, const char* tensor, const std::vector<int64_t>& shape) const;

 private:
  const SafetensorsFile::Tensor& find(const std::string& name) const;

  SafetensorsFile file_;
};

// Throws InputError unless gates of this file and shape are for `model`; n_query_heads of 0: they
// serve any number.
void require_gates_of(const std::filesystem::path& file, const ModelShape& gates,
                      const ModelShape& model);

}  // namespace kvbench
