// How a LibTorch face starts its operator: the CPU's implementation, or the CUDA kernel on the
// stream that LibTorch works on.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/resize.h>
#include <c10/core/DeviceGuard.h>

#include "kernels/common/stream.h"

namespace kvbench {

// Whether our CUDA kernels serve tensors of that device: a GPU's. A weak symbol: the test that
// executes them on the CPU (kernels/ptx) says yes of the CPU's tensors.
bool served_by_cuda(c10::Device device);

// LibTorch's current stream of a GPU. Weak likewise.
CudaStream current_stream(c10::Device device);

int64_t n_multiprocessors(c10::Device device);

// Throws c10::Error when a launch failed; `name` is the operator's.
void check_launch(CudaStatus status, const char* name);

// An operator's implementations. Scratch memory is the CUDA kernel's alone.
template <class Op>
struct Implementations {
  const char* name;
  void (*cpu)(const Op&);
  CudaStatus (*cuda)(const Op&, CudaStream);
  size_t (*workspace_bytes)(const Op&) = nullptr;
};

// Runs `op`, whose pointers are those of tensors on `device`. A kernel's scratch memory is
// `workspace`, uint8 [n] there, which grows where it is too small, or undefined: this call's own.
template <class Op>
void launch(const Implementations<Op>& implementations, Op& op, c10::Device device,
            at::Tensor workspace = {}) {
  if (!served_by_cuda(device)) return implementations.cpu(op);
  const c10::DeviceGuard guard(device);
  if constexpr (requires { op.workspace; }) {
    const auto n_bytes = static_cast<int64_t>(implementations.workspace_bytes(op));
    if (!workspace.defined()) {
      workspace = at::empty({n_bytes}, at::TensorOptions(at::kByte).device(device));
    } else if (workspace.numel() < n_bytes) {
      workspace.resize_({n_bytes});
    }
    op.workspace = workspace.mutable_data_ptr();
  }
  check_launch(implementations.cuda(op, current_stream(device)), implementations.name);
}

#define KVB_IMPLEMENTATIONS(NAME) \
  { #NAME, NAME##_cpu, NAME##_cuda }
#define KVB_IMPLEMENTATIONS_WITH_WORKSPACE(NAME) \
  { #NAME, NAME##_cpu, NAME##_cuda, NAME##_workspace_bytes }

}  // namespace kvbench
