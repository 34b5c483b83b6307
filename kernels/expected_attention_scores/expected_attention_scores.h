// Expected Attention's scores (kvpress 0.5.5, ExpectedAttentionPress): the attention that queries
// of a known mean and covariance are expected to pay to a key, weighed by its value.
//
//   z[q, t] = k_t . linear[q] + k_t^T quadratic[q] k_t
//   out[h, t - n_sink] = (mean over the GQA group of softmax_t(z[q]) + eps) * ||v_t||_2
//
// for the tokens t behind the sinks. The softmax is over them alone, or over the sinks as well.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct ExpectedAttentionScores {
  int64_t n_heads = 0, n_query_heads = 0, n_rows = 0, head_dim = 0;
  int64_t n_sink = 0;  // < n_rows
  DType dtype = DType::kFloat32;
  bool softmax_over_sinks = false;
  bool use_vnorm = true;  // false: without eps and the value's norm
  float eps = 0;
  HeadRows keys, values;          // n_rows rows each, sinks included
  const float* linear = nullptr;  // [n_query_heads, head_dim]: rotated mean / sqrt(d)
  const float* quadratic =
      nullptr;                // [n_query_heads, d, d]: rotated covariance / (2 d), or nullptr
  float* out = nullptr;       // [n_heads, n_rows - n_sink]
  void* workspace = nullptr;  // CUDA: expected_attention_scores_workspace_bytes() of it

  int64_t first() const { return softmax_over_sinks ? 0 : n_sink; }  // token of the softmax
};

// Sums in double.
void expected_attention_scores_reference(const ExpectedAttentionScores& op);

// The result does not depend on the number of threads.
void expected_attention_scores_cpu(const ExpectedAttentionScores& op);

// head_dim: a multiple of 8 up to 256.
size_t expected_attention_scores_workspace_bytes(const ExpectedAttentionScores& op);
CudaStatus expected_attention_scores_cuda(const ExpectedAttentionScores& op, CudaStream stream);

}  // namespace kvbench
