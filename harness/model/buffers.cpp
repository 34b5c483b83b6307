#include "harness/model/buffers.h"

#include <ATen/ATen.h>

namespace kvbench {

at::Tensor Buffers::get(Name name, at::IntArrayRef sizes, at::ScalarType dtype,
                        c10::Device device) {
  const auto fresh = [&] { return at::empty(sizes, at::TensorOptions(dtype).device(device)); };
  if (!kept_) return fresh();
  at::Tensor& tensor = tensors_[name];
  if (!tensor.defined() || tensor.sizes() != sizes || tensor.scalar_type() != dtype) {
    tensor = fresh();
    ++version_;
  }
  return tensor;
}

const RopeAngles& Buffers::rows(const RopeTable& table, int64_t end) {
  RopeAngles& rows = rows_[&table];
  if (!rows.cos.defined() || rows.cos.size(0) < end) {
    rows = table.rows(end);
    ++version_;
  }
  return rows;
}

const at::Tensor& Buffers::workspace(c10::Device device) {
  if (kept_ && !workspace_.defined()) {
    workspace_ = at::empty({0}, at::TensorOptions(at::kByte).device(device));
  }
  return workspace_;
}

}  // namespace kvbench
