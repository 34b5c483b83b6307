// Memory bound: every element is read once and written once, 16 bytes at a time.
#include "kernels/common/cuda_common.cuh"
#include "kernels/gated_activation/gated_activation.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256;

template <GatedActivation::Kind kKind>
__device__ float activate(float x) {
  if constexpr (kKind == GatedActivation::Kind::kSilu) return x / (1 + expf(-x));
  const float u = 0.7978845608028654F * (x + 0.044715F * x * x * x);  // sqrt(2 / pi)
  return x / (1 + expf(-2 * u));
}

template <class T, GatedActivation::Kind kKind>
__device__ T gated(T gate, T up) {
  const T activated = from_float<T>(activate<kKind>(to_float(gate)));
  return from_float<T>(to_float(activated) * to_float(up));
}

// A thread a pack where packs are aligned in every row, else a thread an element.
template <class T, GatedActivation::Kind kKind, bool kPacked>
__global__ void __launch_bounds__(kThreads)
    gated_activation_kernel(const T* gate_up, T* out, int64_t n_rows, int64_t n_columns) {
  constexpr int64_t kStep = kPacked ? Pack<T>::kSize : 1;
  const int64_t per_row = n_columns / kStep, total = n_rows * per_row;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < total;
       i += int64_t{gridDim.x} * kThreads) {
    const int64_t row = i / per_row, column = i % per_row * kStep;
    const T* gate = gate_up + row * 2 * n_columns + column;
    T* to = out + row * n_columns + column;
    if constexpr (kPacked) {
      const Pack<T> gates = load_pack(gate), ups = load_pack(gate + n_columns);
      Pack<T> result;
#pragma unroll
      for (int k = 0; k < Pack<T>::kSize; ++k)
        result.at[k] = gated<T, kKind>(gates.at[k], ups.at[k]);
      store_pack(result, to);
    } else {
      *to = gated<T, kKind>(*gate, gate[n_columns]);
    }
  }
}

template <class T, GatedActivation::Kind kKind>
void launch(const GatedActivation& op, CudaStream stream) {
  const auto* gate_up = static_cast<const T*>(op.gate_up);
  auto* out = static_cast<T*>(op.out);
  const bool packed = op.n_columns % Pack<T>::kSize == 0 && are_aligned(gate_up, out);
  const int64_t n = op.n_rows * op.n_columns / (packed ? Pack<T>::kSize : 1);
  const auto blocks = static_cast<unsigned>(min((n + kThreads - 1) / kThreads, int64_t{1} << 16));
  if (packed) {
    gated_activation_kernel<T, kKind, true>
        <<<blocks, kThreads, 0, stream>>>(gate_up, out, op.n_rows, op.n_columns);
  } else {
    gated_activation_kernel<T, kKind, false>
        <<<blocks, kThreads, 0, stream>>>(gate_up, out, op.n_rows, op.n_columns);
  }
}

}  // namespace

CudaStatus gated_activation_cuda(const GatedActivation& op, CudaStream stream) {
  if (op.n_rows * op.n_columns == 0) return cudaSuccess;
  with_cuda_element(op.dtype, [&](auto element) {
    using T = decltype(element);
    switch (op.kind) {
      case GatedActivation::Kind::kSilu:
        return launch<T, GatedActivation::Kind::kSilu>(op, stream);
      case GatedActivation::Kind::kGeluTanh:
        return launch<T, GatedActivation::Kind::kGeluTanh>(op, stream);
    }
  });
  return cudaGetLastError();
}

}  // namespace kvbench
