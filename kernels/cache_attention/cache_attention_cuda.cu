#include "kernels/cache_attention/attend_block.cuh"
#include "kernels/cache_attention/attend_shares.cuh"
#include "kernels/cache_attention/cache_attention.h"

namespace kvbench {
namespace {

int64_t shares(const CacheAttention& op) {
  return op.items == nullptr ? op.cache.n_sequences * op.cache.n_kv_heads : op.n_items;
}

int64_t query_rows(const CacheAttention& op) {
  return op.n_heads / op.cache.n_kv_heads * op.n_tokens;
}

// A block of tokens that fill a warp's matrices; sums of the largest heads would not fit into
// registers.
constexpr int kMaxBlockDim = 128;
bool is_block(const CacheAttention& op) {
  return op.items == nullptr && op.cache.dtype != DType::kFloat32 &&
         op.cache.head_dim <= kMaxBlockDim && query_rows(op) > 16;
}

template <class T, int kDim>
void launch(const CacheAttention& op, CudaStream stream) {
  if constexpr (sizeof(T) == 2 && kDim <= kMaxBlockDim) {
    if (is_block(op)) {
      const dim3 grid((query_rows(op) + kBlockRows - 1) / kBlockRows,
                      op.cache.n_sequences * op.cache.n_kv_heads);
      attend_block_kernel<T, kDim><<<grid, kBlockThreads, 0, stream>>>(op);
      return;
    }
  }
  const int64_t n_rows = query_rows(op), n_partials = shares(op) * n_rows;
  auto* sums = static_cast<float*>(op.workspace);
  const Partials partials = {sums,
                             reinterpret_cast<float2*>(sums + n_partials * op.cache.head_dim)};
  const auto attend = [&](auto kernel, int64_t rows) {
    const dim3 grid(shares(op), (n_rows + rows - 1) / rows);
    kernel<<<grid, kThreads, 0, stream>>>(op, partials);
  };
  if (n_rows <= 4) {
    attend(attend_shares_kernel<T, kDim, 4>, 4);
  } else {
    attend(attend_shares_kernel<T, kDim, 8>, 8);
  }
  const dim3 grid(op.cache.n_sequences * op.cache.n_kv_heads, n_rows);
  merge_shares_kernel<T><<<grid, kThreads, 0, stream>>>(op, partials);
}

}  // namespace

size_t cache_attention_workspace_bytes(const CacheAttention& op) {
  if (is_block(op)) return 0;
  return shares(op) * query_rows(op) * (op.cache.head_dim + 2) * sizeof(float);
}

CudaStatus cache_attention_cuda(const CacheAttention& op, CudaStream stream) {
  const RaggedCache& cache = op.cache;
  if (cache.n_sequences * op.n_heads * op.n_tokens == 0) return cudaSuccess;
  if (cache.head_dim % 8 != 0 || cache.head_dim > kMaxHeadDim ||
      op.n_heads % cache.n_kv_heads != 0 || query_rows(op) > 65535 ||
      !are_aligned(cache.keys, cache.values, op.query, op.workspace)) {
    return cudaErrorInvalidValue;
  }
  with_cuda_element(cache.dtype, [&](auto element) {
    using T = decltype(element);
    if (cache.head_dim <= 64) return launch<T, 64>(op, stream);
    if (cache.head_dim <= 80) return launch<T, 80>(op, stream);
    if (cache.head_dim <= 96) return launch<T, 96>(op, stream);
    if (cache.head_dim <= 128) return launch<T, 128>(op, stream);
    return launch<T, 256>(op, stream);
  });
  return cudaGetLastError();
}

}  // namespace kvbench
