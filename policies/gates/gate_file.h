// A model's gates and their file: safetensors, with the same tensors "layers.L.NAME" for every
// layer of full attention. Nothing about it is trusted.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/safetensors.h"
#include "policies/scorer.h"

namespace kvbench {

class GateFile {
 public:
  explicit GateFile(const std::filesystem::path& path) : path_(path), file_(path) {}

  const std::filesystem::path& path() const { return path_; }
  // Throws InputError unless there are n_tensors for each layer.
  int64_t n_layers(size_t n_tensors) const;
  // The sizes of layer 0's tensor. Throws InputError unless they are n_dims sizes above 0.
  std::vector<int64_t> shape(const char* tensor, size_t n_dims) const;
  // As float32. Throws InputError when the tensor is missing, has another shape, is of another type
  // than float32, bfloat16 or float16, or holds a value that is not finite.
  at::Tensor read(int64_t layer, const char* tensor, const std::vector<int64_t>& shape) const;

 private:
  const SafetensorsFile::Tensor& find(const std::string& name) const;

  std::filesystem::path path_;
  SafetensorsFile file_;
};

// The gates of all layers, by the names of their tensors, where they are asked for.
class GateLayers {
 public:
  using Layer = std::map<std::string, at::Tensor>;  // float32
  using Shapes = std::vector<std::pair<const char*, std::vector<int64_t>>>;

  // The tensors of these names, of the same shapes in every layer. made_for: the model that the
  // shapes tell of, with n_query_heads of 0 any number of them; its n_layers are counted here.
  GateLayers(const GateFile& file, const Shapes& shapes, const ModelShape& made_for);

  // Throws InputError unless they were made for a model of this shape.
  void require_model(const ModelShape& model) const;

  Layer on(int64_t layer, c10::Device device) const;

 private:
  std::filesystem::path path_;
  ModelShape made_for_;
  mutable std::mutex mutex_;
  mutable std::vector<Layer> layers_;  // move to the device that asks
};

}  // namespace kvbench
