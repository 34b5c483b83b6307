// A block a row, which stays in its registers from the sum of squares to the result.
#include "kernels/common/cuda_common.cuh"
#include "kernels/rms_norm/rms_norm.h"

namespace kvbench {
namespace {

constexpr int kMaxThreads = 512, kHeld = 4;  // packs of a thread

// Over the block, in every thread.
__device__ float block_sum(float x) {
  __shared__ float of_warps[kMaxThreads / kWarp];
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) of_warps[threadIdx.x / kWarp] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < blockDim.x / kWarp; ++w) sum += of_warps[w];
  return sum;
}

template <class T, class W>
__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_kernel(const T* x, const W* weight, T* residual, T* out, int n_packs, float eps) {
  constexpr int kSize = Pack<T>::kSize, kWeights = Pack<W>::kSize;
  const int64_t first = int64_t{blockIdx.x} * n_packs * kSize;
  Pack<T> held[kHeld] = {};
  float squares = 0;
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int p = threadIdx.x + h * blockDim.x;
    if (p >= n_packs) break;
    held[h] = load_pack(x + first + p * kSize);
    if (residual != nullptr) {
      const Pack<T> before = load_pack(residual + first + p * kSize);
#pragma unroll
      for (int i = 0; i < kSize; ++i) {
        held[h].at[i] = from_float<T>(to_float(before.at[i]) + to_float(held[h].at[i]));
      }
      store_pack(held[h], residual + first + p * kSize);
    }
#pragma unroll
    for (int i = 0; i < kSize; ++i) squares += to_float(held[h].at[i]) * to_float(held[h].at[i]);
  }
  const float mean = block_sum(squares) / static_cast<float>(n_packs * kSize);
  const float scale = 1 / sqrtf(mean + eps);
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int p = threadIdx.x + h * blockDim.x;
    if (p >= n_packs) break;
#pragma unroll
    for (int w = 0; w < kSize / kWeights; ++w) {
      const Pack<W> weights = load_pack(weight + p * kSize + w * kWeights);
#pragma unroll
      for (int i = 0; i < kWeights; ++i) {
        T& element = held[h].at[w * kWeights + i];
        const float normed = rounded<W>(to_float(element) * scale);
        element = from_float<T>(rounded<W>(normed * to_float(weights.at[i])));
      }
    }
    store_pack(held[h], out + first + p * kSize);
  }
}

}  // namespace

CudaStatus rms_norm_cuda(const RmsNorm& op, CudaStream stream) {
  const int64_t n_packs = op.n_columns * element_bytes(op.dtype) / 16;
  if (op.n_columns % 8 != 0 || n_packs > kHeld * kMaxThreads ||
      !are_aligned(op.x, op.weight, op.residual, op.out) ||
      (op.weight_dtype != op.dtype && op.weight_dtype != DType::kFloat32)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_rows * op.n_columns == 0) return cudaSuccess;
  const int64_t whole_warps = (n_packs + kWarp - 1) / kWarp * kWarp;
  const auto threads = static_cast<unsigned>(min(whole_warps, int64_t{kMaxThreads}));
  with_cuda_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto of_weight) {
    using T = decltype(element);
    using W = decltype(of_weight);
    rms_norm_kernel<T, W><<<static_cast<unsigned>(op.n_rows), threads, 0, stream>>>(
        static_cast<const T*>(op.x), static_cast<const W*>(op.weight), static_cast<T*>(op.residual),
        static_cast<T*>(op.out), static_cast<int>(n_packs), op.eps);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
