// A block some rows of a head of a sequence: they lie side by side in the cache.
#include <algorithm>

#include "kernels/cache_rows/cache_append.h"
#include "kernels/common/cuda_common.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 128, kRowsOfBlock = 32;

template <class Unit>
__device__ void copy_rows(const TokenRows& from, int s, int h, int first, int n_rows,
                          int element_bytes, int units, Unit* to) {
  const auto* rows =
      static_cast<const char*>(from.data) +
      (s * from.sequence_stride + h * from.head_stride + first * from.token_stride) * element_bytes;
  for (int at = threadIdx.x; at < n_rows * units; at += kThreads) {
    const auto* row = rows + at / units * from.token_stride * element_bytes;
    to[at] = reinterpret_cast<const Unit*>(row)[at % units];
  }
}

// grid [blocks of rows, heads, sequences].
template <class Unit>
__global__ void __launch_bounds__(kThreads) cache_append_kernel(CacheAppend op) {
  const int h = blockIdx.y, s = blockIdx.z, n_tokens = static_cast<int>(op.n_tokens);
  const int first = blockIdx.x * kRowsOfBlock, n_rows = min(n_tokens - first, kRowsOfBlock);
  const int64_t head = s * op.cache.n_kv_heads + h;
  const int bytes = op.cache.dtype == DType::kFloat32 ? 4 : 2;
  const int units = static_cast<int>(op.cache.head_dim) * bytes / int{sizeof(Unit)};
  const int64_t to = (op.cache.starts[head] + op.cache.lengths[head] - n_tokens + first) * units;
  copy_rows(op.keys, s, h, first, n_rows, bytes, units, static_cast<Unit*>(op.cache.keys) + to);
  copy_rows(op.values, s, h, first, n_rows, bytes, units, static_cast<Unit*>(op.cache.values) + to);
}

bool has_packs(const TokenRows& rows, int64_t element_bytes) {
  return kvbench::has_packs(rows.data, element_bytes,
                            {rows.sequence_stride, rows.token_stride, rows.head_stride});
}

}  // namespace

CudaStatus cache_append_cuda(const CacheAppend& op, CudaStream stream) {
  const RaggedCache& cache = op.cache;
  if (std::max(cache.n_kv_heads, cache.n_sequences) > 65535) return cudaErrorInvalidValue;
  if (cache.n_sequences * cache.n_kv_heads * op.n_tokens * cache.head_dim == 0) return cudaSuccess;
  const int64_t bytes = element_bytes(cache.dtype);
  const bool packed = cache.head_dim * bytes % 16 == 0 && has_packs(op.keys, bytes) &&
                      has_packs(op.values, bytes) && are_aligned(cache.keys, cache.values);
  const dim3 grid(static_cast<unsigned>((op.n_tokens + kRowsOfBlock - 1) / kRowsOfBlock),
                  static_cast<unsigned>(cache.n_kv_heads),
                  static_cast<unsigned>(cache.n_sequences));
  if (packed) {
    cache_append_kernel<int4><<<grid, kThreads, 0, stream>>>(op);
  } else {
    cache_append_kernel<uint16_t><<<grid, kThreads, 0, stream>>>(op);
  }
  return cudaGetLastError();
}

}  // namespace kvbench
