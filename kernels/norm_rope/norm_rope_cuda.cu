// A head is shared by the fewest lanes, a power of two, that hold it: four neighbours of its first
// half and their partners in the second.
#include "kernels/common/cuda_common.cuh"
#include "kernels/norm_rope/norm_rope.h"

namespace kvbench {
namespace {

constexpr int kThreads = 128, kQuad = 4;

template <class T>
struct alignas(kQuad * sizeof(T)) Quad {
  T at[kQuad];
};

struct Sizes {
  int64_t n_rows, row_stride;
  int n_heads, n_kv_heads, head_dim, lanes;
  float eps;
};

// x (halves of a head, this lane's part) := its RMS norm.
template <class T, class W>
__device__ void norm(float (&x)[2][kQuad], const W* weight, int column, bool is_there,
                     const Sizes& sizes) {
  float squares = 0;
  for (int i = 0; i < kQuad; ++i) squares += x[0][i] * x[0][i] + x[1][i] * x[1][i];
  for (int distance = sizes.lanes / 2; distance > 0; distance /= 2) {
    squares += __shfl_xor_sync(kWholeWarp, squares, distance);
  }
  const float scale = 1 / sqrtf(squares / static_cast<float>(sizes.head_dim) + sizes.eps);
  if (!is_there) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const auto weights =
        *reinterpret_cast<const Quad<W>*>(weight + half * sizes.head_dim / 2 + column);
#pragma unroll
    for (int i = 0; i < kQuad; ++i) {
      const float normed = rounded<W>(x[half][i] * scale);
      x[half][i] = rounded<T>(rounded<W>(normed * to_float(weights.at[i])));
    }
  }
}

template <class T>
__device__ void store(const float (&x)[2][kQuad], T* head, int column, int half_dim) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    Quad<T> quad;
#pragma unroll
    for (int i = 0; i < kQuad; ++i) quad.at[i] = from_float<T>(x[half][i]);
    *reinterpret_cast<Quad<T>*>(head + half * half_dim + column) = quad;
  }
}

template <class T, class W>
__global__ void __launch_bounds__(kThreads)
    norm_rope_kernel(const T* qkv, const W* query_weight, const W* key_weight, const float* cos,
                     const float* sin, T* queries, T* keys, T* normed_queries, Sizes sizes) {
  const int n_heads = sizes.n_heads + sizes.n_kv_heads, half_dim = sizes.head_dim / 2;
  const int64_t index = (int64_t{blockIdx.x} * kThreads + threadIdx.x) / sizes.lanes;
  const int64_t row = index / n_heads;
  const int head = static_cast<int>(index % n_heads);
  const bool is_query = head < sizes.n_heads;
  const int column = threadIdx.x % sizes.lanes * kQuad;
  const bool is_there = row < sizes.n_rows && column < half_dim;
  float x[2][kQuad] = {};
  if (is_there) {
    const T* from = qkv + row * sizes.row_stride + head * sizes.head_dim + column;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const auto quad = *reinterpret_cast<const Quad<T>*>(from + half * half_dim);
#pragma unroll
      for (int i = 0; i < kQuad; ++i) x[half][i] = to_float(quad.at[i]);
    }
  }
  if (query_weight != nullptr) {
    norm<T>(x, is_query ? query_weight : key_weight, column, is_there, sizes);
  }
  if (!is_there) return;
  const int64_t out =
      is_query ? row * sizes.n_heads + head : row * sizes.n_kv_heads + head - sizes.n_heads;
  if (is_query && normed_queries != nullptr) {
    store(x, normed_queries + out * sizes.head_dim, column, half_dim);
  }
  const auto cosines = *reinterpret_cast<const Quad<float>*>(cos + row * half_dim + column);
  const auto sines = *reinterpret_cast<const Quad<float>*>(sin + row * half_dim + column);
  float turned[2][kQuad];
#pragma unroll
  for (int i = 0; i < kQuad; ++i) {  // not fused
    const float c = cosines.at[i], s = sines.at[i];
    turned[0][i] = __fsub_rn(__fmul_rn(x[0][i], c), __fmul_rn(x[1][i], s));
    turned[1][i] = __fadd_rn(__fmul_rn(x[1][i], c), __fmul_rn(x[0][i], s));
  }
  store(turned, (is_query ? queries : keys) + out * sizes.head_dim, column, half_dim);
}

}  // namespace

CudaStatus norm_rope_cuda(const NormRope& op, CudaStream stream) {
  constexpr int64_t kMaxHeadDim = 2 * kQuad * kWarp;
  const bool aligned = are_aligned(op.qkv, op.query_weight, op.key_weight, op.cos, op.sin,
                                   op.queries, op.keys, op.normed_queries);
  if (!aligned || op.head_dim <= 0 || op.head_dim > kMaxHeadDim || op.head_dim % 8 != 0 ||
      op.row_stride % 8 != 0 || (op.query_weight == nullptr) != (op.key_weight == nullptr) ||
      (op.weight_dtype != op.dtype && op.weight_dtype != DType::kFloat32)) {
    return cudaErrorInvalidValue;
  }
  if (op.n_rows == 0) return cudaSuccess;
  Sizes sizes = {op.n_rows,
                 op.row_stride,
                 static_cast<int>(op.n_heads),
                 static_cast<int>(op.n_kv_heads),
                 static_cast<int>(op.head_dim),
                 1,
                 op.eps};
  while (sizes.lanes * 2 * kQuad < op.head_dim) sizes.lanes *= 2;
  const int64_t n_threads = op.n_rows * (op.n_heads + op.n_kv_heads) * sizes.lanes;
  const auto blocks = static_cast<unsigned>((n_threads + kThreads - 1) / kThreads);
  with_cuda_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto of_weight) {
    using T = decltype(element);
    using W = decltype(of_weight);
    norm_rope_kernel<T, W><<<blocks, kThreads, 0, stream>>>(
        static_cast<const T*>(op.qkv), static_cast<const W*>(op.query_weight),
        static_cast<const W*>(op.key_weight), op.cos, op.sin, static_cast<T*>(op.queries),
        static_cast<T*>(op.keys), static_cast<T*>(op.normed_queries), sizes);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
