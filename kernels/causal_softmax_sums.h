// How much attention each key gets from a block of queries: the causal softmax of their logits,
// summed over the queries.
#pragma once

#include <cstdint>

namespace kvbench {

// The queries of a block are the latest tokens: query i of `n_queries` <= `n_keys` sees the first
// n_keys - n_queries + 1 + i keys. Logits of keys that it does not see are never read.
struct CausalSoftmaxSums {
  int64_t n_heads = 0, n_queries = 0, n_keys = 0;
  const float* logits = nullptr;  // [n_heads, n_queries, n_keys]
  float* out = nullptr;           // [n_heads, n_keys]
};

void causal_softmax_sums_cpu(const CausalSoftmaxSums& op);

}  // namespace kvbench
