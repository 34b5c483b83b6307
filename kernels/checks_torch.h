// What the operators' LibTorch faces (<op>_torch.cpp) share: checks of the ragged cache's tensors,
// and the way to LibTorch's dispatcher.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <vector>

#include "kernels/ragged_cache.h"

namespace kvbench {

// The operator as callers reach it: the dispatcher picks the kernel of the device.
template <class Function>
auto find_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

inline DType dtype_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return DType::kFloat32;
    case at::kBFloat16:
      return DType::kBFloat16;
    case at::kHalf:
      return DType::kFloat16;
    default:
      TORCH_CHECK(false, "expected float32, bfloat16 or float16, got ", tensor.scalar_type());
  }
}

// starts and lengths: int64 [S, H], contiguous, on the cache's device.
inline void check_segments(const at::Tensor& starts, const at::Tensor& lengths, int64_t n_sequences,
                           c10::Device device) {
  for (const auto* segments : {&starts, &lengths}) {
    TORCH_CHECK(segments->scalar_type() == at::kLong && segments->dim() == 2 &&
                    segments->size(0) == n_sequences && segments->is_contiguous() &&
                    segments->device() == device,
                "starts and lengths: expected contiguous int64 [", n_sequences, ", H] on ", device,
                ", got ", segments->scalar_type(), " ", segments->sizes(), " on ",
                segments->device());
  }
  TORCH_CHECK(starts.sizes() == lengths.sizes(), "starts ", starts.sizes(), " and lengths ",
              lengths.sizes(), " differ");
}

// One buffer per sequence: contiguous [rows, head_dim] of `like`'s dtype and device.
inline void check_buffers(at::TensorList buffers, const char* name, const at::Tensor& like,
                          int64_t head_dim) {
  for (const auto& buffer : buffers) {
    TORCH_CHECK(buffer.dim() == 2 && buffer.size(1) == head_dim && buffer.is_contiguous() &&
                    buffer.scalar_type() == like.scalar_type() && buffer.device() == like.device(),
                name, ": expected contiguous ", like.scalar_type(), " [rows, ", head_dim, "] on ",
                like.device(), ", got ", buffer.scalar_type(), " ", buffer.sizes(), " on ",
                buffer.device());
  }
}

// Every segment lies inside its buffer and holds the m new tokens. Reads the host copy of starts
// and lengths, so CPU kernels only.
inline void check_bounds(at::TensorList buffers, const at::Tensor& starts,
                         const at::Tensor& lengths, int64_t n_tokens) {
  const auto* start = starts.const_data_ptr<int64_t>();
  const auto* length = lengths.const_data_ptr<int64_t>();
  const int64_t n_heads = starts.size(1);
  for (size_t s = 0; s < buffers.size(); ++s) {
    for (int64_t h = 0; h < n_heads; ++h, ++start, ++length) {
      TORCH_CHECK(*start >= 0 && *length >= n_tokens && *start <= buffers[s].size(0) - *length,
                  "sequence ", s, ", KV head ", h, ": rows ", *start, " + ", *length, " with ",
                  n_tokens, " new ones do not fit a buffer of ", buffers[s].size(0), " rows");
    }
  }
}

// The host copy of a small index tensor.
inline std::vector<int64_t> host(const at::Tensor& index) {
  const at::Tensor cpu = index.to(at::kCPU).contiguous();
  const auto* data = cpu.const_data_ptr<int64_t>();
  return {data, data + cpu.numel()};
}

}  // namespace kvbench
