// Compaction of one layer of one sequence: the kept rows of its keys and values, side by side.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

// Row starts[h] + i of both outputs = row positions[offsets[h] + i] of head h, for i below
// offsets[h + 1] - offsets[h]. Bytes are copied, so any dtype of `element_bytes` bytes will do.
struct CacheGather {
  int64_t n_kv_heads = 0, n_tokens = 0, head_dim = 0, element_bytes = 0;
  int64_t n_rows = 0;                  // of the outputs
  HeadRows keys, values;               // [H, T, d]
  const int32_t* positions = nullptr;  // 0 <= position < T
  const int32_t* offsets = nullptr;    // [H + 1]
  const int64_t* starts = nullptr;     // [H]
  void* out_keys = nullptr;            // [n_rows, d]
  void* out_values = nullptr;          // [n_rows, d]
};

void cache_gather_cpu(const CacheGather& op);

CudaStatus cache_gather_cuda(const CacheGather& op, CudaStream stream);

}  // namespace kvbench
