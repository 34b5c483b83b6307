// A block a head of a sequence: its new rows lie side by side in the cache.
#include "kernels/cache_rows/cache_append.h"
#include "kernels/common/cuda_common.cuh"

namespace kvbench {
namespace {

constexpr int kThreads = 128;

template <class Unit>
__device__ void copy_rows(const TokenRows& from, int s, int h, int n_tokens, int element_bytes,
                          int units, Unit* to) {
  const auto* rows = static_cast<const char*>(from.data) +
                     (s * from.sequence_stride + h * from.head_stride) * element_bytes;
  for (int at = threadIdx.x; at < n_tokens * units; at += kThreads) {
    const auto* row = rows + at / units * from.token_stride * element_bytes;
    to[at] = reinterpret_cast<const Unit*>(row)[at % units];
  }
}

// grid [heads, sequences].
template <class Unit>
__global__ void __launch_bounds__(kThreads) cache_append_kernel(CacheAppend op) {
  const int h = blockIdx.x, s = blockIdx.y, n_tokens = static_cast<int>(op.n_tokens);
  const int64_t head = s * op.cache.n_kv_heads + h;
  const int bytes = op.cache.dtype == DType::kFloat32 ? 4 : 2;
  const int units = static_cast<int>(op.cache.head_dim) * bytes / int{sizeof(Unit)};
  const int64_t first = (op.cache.starts[head] + op.cache.lengths[head] - n_tokens) * units;
  copy_rows(op.keys, s, h, n_tokens, bytes, units, static_cast<Unit*>(op.cache.keys) + first);
  copy_rows(op.values, s, h, n_tokens, bytes, units, static_cast<Unit*>(op.cache.values) + first);
}

bool has_packs(const TokenRows& rows, int64_t element_bytes) {
  return kvbench::has_packs(rows.data, element_bytes,
                            {rows.sequence_stride, rows.token_stride, rows.head_stride});
}

}  // namespace

CudaStatus cache_append_cuda(const CacheAppend& op, CudaStream stream) {
  const RaggedCache& cache = op.cache;
  if (cache.n_sequences > 65535) return cudaErrorInvalidValue;
  if (cache.n_sequences * cache.n_kv_heads * op.n_tokens * cache.head_dim == 0) return cudaSuccess;
  const int64_t bytes = element_bytes(cache.dtype);
  const bool packed = cache.head_dim * bytes % 16 == 0 && has_packs(op.keys, bytes) &&
                      has_packs(op.values, bytes) && are_aligned(cache.keys, cache.values);
  const dim3 grid(static_cast<unsigned>(cache.n_kv_heads),
                  static_cast<unsigned>(cache.n_sequences));
  if (packed) {
    cache_append_kernel<int4><<<grid, kThreads, 0, stream>>>(op);
  } else {
    cache_append_kernel<uint16_t><<<grid, kThreads, 0, stream>>>(op);
  }
  return cudaGetLastError();
}

}  // namespace kvbench
