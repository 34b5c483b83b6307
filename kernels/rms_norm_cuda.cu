// A block a row, which is read for its sum of squares and again, out of the cache, for the result.
#include "kernels/cuda_common.cuh"
#include "kernels/rms_norm.h"

namespace kvbench {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;

// Over the block, in every thread.
__device__ float block_sum(float x) {
  __shared__ float of_warps[kWarps];
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += of_warps[w];
  return sum;
}

template <class T, class W>
__global__ void __launch_bounds__(kThreads)
    rms_norm_kernel(const T* x, const W* weight, T* residual, T* out, int n_packs, float eps) {
  constexpr int kSize = Pack<T>::kSize, kWeights = Pack<W>::kSize;
  const int64_t first = int64_t{blockIdx.x} * n_packs * kSize;
  const T* row = residual != nullptr ? residual + first : x + first;
  float squares = 0;
  for (int p = threadIdx.x; p < n_packs; p += kThreads) {
    Pack<T> pack = load_pack(row + p * kSize);
    if (residual != nullptr) {
      const Pack<T> change = load_pack(x + first + p * kSize);
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        pack.at[i] = from_float<T>(to_float(pack.at[i]) + to_float(change.at[i]));
      }
      store_pack(pack, residual + first + p * kSize);
    }
#pragma unroll
    for (int i = 0; i < kSize; ++i) squares += to_float(pack.at[i]) * to_float(pack.at[i]);
  }
  const float mean = block_sum(squares) / static_cast<float>(n_packs * kSize);
  const float scale = 1 / sqrtf(mean + eps);
  // A thread reads what it has read, or written, before.
  for (int p = threadIdx.x; p < n_packs; p += kThreads) {
    Pack<T> pack = load_pack(row + p * kSize);
#pragma unroll
    for (int w = 0; w < kSize / kWeights; ++w) {
      const Pack<W> weights = load_pack(weight + p * kSize + w * kWeights);
#pragma unroll
      for (int i = 0; i < kWeights; ++i) {
        T& element = pack.at[w * kWeights + i];
        const float normed = rounded<W>(to_float(element) * scale);
        element = from_float<T>(rounded<W>(normed * to_float(weights.at[i])));
      }
    }
    store_pack(pack, out + first + p * kSize);
  }
}

bool is_aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

}  // namespace

CudaStatus rms_norm_cuda(const RmsNorm& op, CudaStream stream) {
  if (op.n_columns % 8 != 0 || !is_aligned(op.x) || !is_aligned(op.weight) ||
      !is_aligned(op.residual) || !is_aligned(op.out) ||
      (op.weight_dtype != op.dtype && op.weight_dtype != DType::kFloat32)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_rows * op.n_columns == 0) return cudaSuccess;
  with_cuda_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto of_weight) {
    using T = decltype(element);
    using W = decltype(of_weight);
    rms_norm_kernel<T, W><<<static_cast<unsigned>(op.n_rows), kThreads, 0, stream>>>(
        static_cast<const T*>(op.x), static_cast<const W*>(op.weight), static_cast<T*>(op.residual),
        static_cast<T*>(op.out), static_cast<int>(op.n_columns / Pack<T>::kSize), op.eps);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
