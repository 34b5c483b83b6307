// The query rows of one KV head of one sequence, and which rows of the cache they see.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cache_attention/cache_attention.h"

namespace kvbench {

// Row r is query head r % group of the KV head's, of token r / group.
struct QueryRows {
  int sequence, kv_head, group, n;
  int end_of_first, window;

  __device__ QueryRows(const CacheAttention& op, int in_sequence, int of_kv_head)
      : sequence(in_sequence),
        kv_head(of_kv_head),
        group(static_cast<int>(op.n_heads) / static_cast<int>(op.cache.n_kv_heads)),
        n(group * static_cast<int>(op.n_tokens)),
        end_of_first(length(op) - static_cast<int>(op.n_tokens) + 1),
        window(static_cast<int>(op.window)) {}

  __device__ int head(const CacheAttention& op) const {
    return sequence * static_cast<int>(op.cache.n_kv_heads) + kv_head;
  }
  __device__ int length(const CacheAttention& op) const {
    return static_cast<int>(op.cache.lengths[head(op)]);
  }
  // Of the row in query and out.
  __device__ int64_t offset(const CacheAttention& op, int row) const {
    return ((sequence * op.n_tokens + row / group) * op.n_heads + kv_head * group + row % group) *
           op.cache.head_dim;
  }
  // It sees the cache's rows begin ... end - 1: every token one more than the one before, and in a
  // window not its first.
  __device__ int begin(int row) const {
    return window > 0 ? max(0, end_of_first + row / group - window) : 0;
  }
  __device__ int end(int row) const { return end_of_first + row / group; }
};

}  // namespace kvbench
