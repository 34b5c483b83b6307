// New tokens into the ragged cache of a batch, keys and values together.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

// [S, m, H, d] in any order of the first three: strides in elements, the elements of a row side by
// side.
struct TokenRows {
  const void* data = nullptr;
  int64_t sequence_stride = 0, token_stride = 0, head_stride = 0;
};

// Row starts + lengths - m + i of each head of each sequence = new token i.
struct CacheAppend {
  RaggedCache cache;     // lengths include the new tokens
  int64_t n_tokens = 0;  // m
  TokenRows keys, values;
};

void cache_append_cpu(const CacheAppend& op);

CudaStatus cache_append_cuda(const CacheAppend& op, CudaStream stream);

}  // namespace kvbench
