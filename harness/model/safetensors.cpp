#include "harness/model/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/safetensors.h"
#include "harness/model/model_folder.h"

namespace kvbench {

namespace {

// What LibTorch calls a stored type, where we read it.
std::optional<at::ScalarType> read_as(const std::string& dtype) {
  static const std::map<std::string, at::ScalarType> all = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"BF16", at::kBFloat16}, {"F16", at::kHalf},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort},     {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool}};
  const auto it = all.find(dtype);
  return it == all.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace

Weights::Weights(const std::filesystem::path& model_dir) : dir_(model_dir) {
  if (model_dir.extension() == ".safetensors") {
    add_file(model_dir, nullptr);
    return;
  }
  const auto single = model_dir / "model.safetensors";
  const auto index = model_dir / "model.safetensors.index.json";
  // transformers looks for it first, too. A link to nothing is a download that did not end.
  if (std::filesystem::exists(single) || std::filesystem::is_symlink(single)) {
    add_file(single, nullptr);
    return;
  }
  if (!std::filesystem::exists(index)) {
    throw_input_error("{}: does not exist, nor does model.safetensors.index.json; {}",
                      single.string(), describe_weight_files(model_dir));
  }
  const nlohmann::json content = read_json(index);
  const JsonView weight_map = JsonView(content, index.string()).at("weight_map");
  if (!weight_map.value().is_object()) weight_map.fail_type("an object of tensor: file");
  std::map<std::string, std::set<std::string>> tensors_of;
  for (const auto& [tensor, value] : weight_map.value().items()) {
    const std::string file = weight_map.at(tensor).text();
    // An untrusted name must not lead out of the folder.
    if (std::filesystem::path(file).filename() != file || file.empty() || file == "..") {
      weight_map.fail(fmt::format("\"{}\" is not a plain file name", file));
    }
    tensors_of[file].insert(tensor);
  }
  for (const auto& [file, tensors] : tensors_of) {
    add_file(model_dir / file, &tensors);
    for (const auto& tensor : tensors) {
      if (!has(tensor)) {
        weight_map.fail(fmt::format("names tensor {} in {}, which does not hold it", tensor, file));
      }
    }
  }
}

void Weights::add_file(const std::filesystem::path& path, const std::set<std::string>* wanted) {
  const auto file = std::make_shared<SafetensorsFile>(path);
  for (const auto& [name, tensor] : file->tensors()) {
    if (wanted == nullptr || wanted->contains(name)) tensors_.emplace(name, Entry{file, tensor});
  }
}

void Weights::fail(const std::string& what) const {
  throw_input_error("{}: {}", dir_.string(), what);
}

const Weights::Entry& Weights::find(const std::string& name) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) fail(fmt::format("tensor {} is missing", name));
  return it->second;
}

void Weights::check(const std::string& name, at::IntArrayRef shape) const {
  const Entry& entry = find(name);
  const auto type = read_as(entry.tensor.dtype);
  if (!type || !at::isFloatingType(*type)) {
    throw_input_error(
        "{}: tensor {}: expected F64, F32, BF16 or F16, got {}: quantised weights are not "
        "supported; use the float16, bfloat16 or float32 checkpoint",
        entry.file->path(), name, entry.tensor.dtype);
  }
  check_shape(name, entry, shape);
}

void Weights::check_shape(const std::string& name, const Entry& entry, at::IntArrayRef shape) {
  if (entry.tensor.shape == shape) return;
  throw_input_error("{}: tensor {}: expected shape [{}] from config.json, got [{}]",
                    entry.file->path(), name, fmt::join(shape, ", "),
                    fmt::join(entry.tensor.shape, ", "));
}

std::string Weights::float_dtype(const std::string& name) const {
  const std::string& dtype = tensors_.at(name).tensor.dtype;
  return dtype == "BF16" ? "bfloat16" : dtype == "F16" ? "float16" : "float32";
}

at::Tensor Weights::get(const std::string& name, const std::vector<int64_t>& shape,
                        at::ScalarType dtype, c10::Device device) const {
  check_shape(name, find(name), shape);  // an untrusted size is no reason to ask for memory
  at::Tensor tensor = at::empty(shape, at::TensorOptions(dtype).device(device));
  read(name, tensor);
  return tensor;
}

void Weights::read(const std::string& name, const at::Tensor& into) const {
  const Entry& entry = find(name);
  const auto stored = read_as(entry.tensor.dtype);
  if (!stored || at::isFloatingType(into.scalar_type())) check(name, into.sizes());
  check_shape(name, entry, into.sizes());
  KVB_CHECK(into.is_contiguous(), "tensor {} is read into a strided one", name);
  if (into.is_cpu() && into.scalar_type() == *stored) {
    entry.file->read(entry.tensor.offset, into.mutable_data_ptr(), entry.tensor.n_bytes);
    return;
  }
  buffer_.resize(kBufferBytes);
  const auto size = static_cast<int64_t>(at::elementSize(*stored));
  const int64_t most = kBufferBytes / size;
  const at::Tensor flat = into.view({-1}), buffer = at::from_blob(buffer_.data(), {most}, *stored);
  for (int64_t first = 0; first < flat.numel(); first += most) {
    const int64_t n = std::min(most, flat.numel() - first);
    entry.file->read(entry.tensor.offset + first * size, buffer_.data(), n * size);
    flat.narrow(0, first, n).copy_(buffer.narrow(0, 0, n));
  }
}

int64_t Weights::n_parameters() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) {
    sum += std::accumulate(entry.tensor.shape.begin(), entry.tensor.shape.end(), int64_t{1},
                           std::multiplies<>());
  }
  return sum;
}

int64_t Weights::n_bytes() const {
  int64_t sum = 0;
  for (const auto& [name, entry] : tensors_) sum += entry.tensor.n_bytes;
  return sum;
}

std::vector<std::string> Weights::names() const {
  std::vector<std::string> all;
  for (const auto& [name, entry] : tensors_) all.push_back(name);
  return all;
}

}  // namespace kvbench
