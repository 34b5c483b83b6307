// One decoding step of LU-KV's oracle: what the token just generated pays to the context's tokens,
// kept as a running maximum.
//
//   a[q] = softmax over all n_keys of scale * query[q] . key
//   importance[h, t] = max(importance[h, t], max over the GQA group of a[q, t] * norms[q, t])
//
// for the n_tokens tokens of the context, which stand first among the keys.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct OracleStep {
  int64_t n_heads = 0, n_query_heads = 0, n_tokens = 0, n_keys = 0, head_dim = 0;
  DType dtype = DType::kFloat32;  // of query and keys
  float scale = 0;
  const void* query = nullptr;   // [n_query_heads, head_dim]
  HeadRows keys;                 // n_keys >= n_tokens rows of each head
  const float* norms = nullptr;  // [n_query_heads, n_tokens]: norms of projected values
  float* importance = nullptr;   // [n_heads, n_tokens], changed in place
  void* workspace = nullptr;     // CUDA: oracle_step_workspace_bytes() of it
};

// Sums in double.
void oracle_step_reference(const OracleStep& op);

// The result does not depend on the number of threads.
void oracle_step_cpu(const OracleStep& op);

// head_dim: a multiple of 8 up to 256; a group of at most 48 KiB / (4 (head_dim + 128)) heads.
size_t oracle_step_workspace_bytes(const OracleStep& op);
CudaStatus oracle_step_cuda(const OracleStep& op, CudaStream stream);

}  // namespace kvbench
