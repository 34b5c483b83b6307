#include "policies/gates/gate_file.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

std::string name_of(int64_t layer, const char* tensor) {
  return fmt::format("layers.{}.{}", layer, tensor);
}

}  // namespace

int64_t GateFile::n_layers(size_t n_tensors) const {
  const size_t n_all = file_.tensors().size();
  if (n_all % n_tensors == 0) return static_cast<int64_t>(n_all / n_tensors);
  throw_input_error("{}: expected {} tensors a layer, got {} in all", file_.path(), n_tensors,
                    n_all);
}

const SafetensorsFile::Tensor& GateFile::find(const std::string& name) const {
  const auto it = file_.tensors().find(name);
  if (it != file_.tensors().end()) return it->second;
  throw_input_error("{}: tensor {} is missing: expected the gates of a model", file_.path(), name);
}

std::vector<int64_t> GateFile::shape(const char* tensor, size_t n_dims) const {
  const std::string name = name_of(0, tensor);
  const auto& shape = find(name).shape;
  bool fine = shape.size() == n_dims;
  for (const int64_t size : shape) fine = fine && size > 0;
  if (fine) return shape;
  throw_input_error("{}: tensor {}: expected {} sizes above 0, got [{}]", file_.path(), name,
                    n_dims, fmt::join(shape, ", "));
}

at::Tensor GateFile::read(int64_t layer, const char* tensor,
                          const std::vector<int64_t>& shape) const {
  const std::string name = name_of(layer, tensor);
  const auto& stored = find(name);
  if (stored.shape != shape) {
    throw_input_error("{}: tensor {}: expected shape [{}], as the other tensors say, got [{}]",
                      file_.path(), name, fmt::join(shape, ", "), fmt::join(stored.shape, ", "));
  }
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"F32", at::kFloat}, {"BF16", at::kBFloat16}, {"F16", at::kHalf}};
  const auto type = kTypes.find(stored.dtype);
  if (type == kTypes.end()) {
    throw_input_error("{}: tensor {}: expected F32, BF16 or F16, got {}", file_.path(), name,
                      stored.dtype);
  }
  const at::Tensor values = at::empty(shape, type->second);
  file_.read(stored.offset, values.mutable_data_ptr(), stored.n_bytes);
  if (!values.isfinite().all().item<bool>()) {
    throw_input_error("{}: tensor {}: holds a value that is not finite", file_.path(), name);
  }
  return values.to(at::kFloat);
}

GateLayers::GateLayers(const GateFile& file, const Shapes& shapes, const ModelShape& made_for)
    : path_(file.path()), made_for_(made_for) {
  made_for_.n_layers = file.n_layers(shapes.size());
  for (int64_t l = 0; l < made_for_.n_layers; ++l) {
    Layer& layer = layers_.emplace_back();
    for (const auto& [name, shape] : shapes) layer[name] = file.read(l, name, shape);
  }
}

void GateLayers::require_model(const ModelShape& model) const {
  const auto require = [&](const char* what, int64_t of_gates, int64_t of_model) {
    if (of_gates == of_model) return;
    throw_input_error("{}: gates of a model with {} {}, the model has {}", path_.string(), of_gates,
                      what, of_model);
  };
  require("layers of full attention", made_for_.n_layers, model.n_layers);
  require("KV heads", made_for_.n_kv_heads, model.n_kv_heads);
  if (made_for_.n_query_heads > 0) {
    require("query heads", made_for_.n_query_heads, model.n_query_heads);
  }
  require("hidden values", made_for_.hidden_size, model.hidden_size);
}

GateLayers::Layer GateLayers::on(int64_t layer, c10::Device device) const {
  const std::scoped_lock lock(mutex_);
  Layer& tensors = layers_.at(static_cast<size_t>(layer));
  for (auto& [name, tensor] : tensors) tensor = tensor.to(device);
  return tensors;
}

}  // namespace kvbench
