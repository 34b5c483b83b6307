// The attention that tokens get: softmax weights summed over queries, those of the last Q tokens
// (H2O, Zhang et al. 2023, arXiv 2306.14048; TOVA, Oren et al. 2024, arXiv 2401.06104, with Q = 1).
//
//   out[h, t] = factor * sum_i mean_q softmax_t(scale * query[q, i] . key[h, t])
//
// where query i is of token T - Q + i and sees all tokens up to its own, or, not causal, all of
// them, and the mean is over the GQA group of KV head h. In its place there may be the largest of
// the group's weights (G-KV), or the softmax of the largest of its logits (R-KV), or every query
// head's own. Weights are float32 whatever the dtype. Nothing of size Q * T is stored.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct AttentionColumnSums {
  enum class Group { kMean, kMax, kMaxLogit, kNone };  // kNone: a row for every query head

  int64_t n_heads = 0, n_kv_heads = 0;  // Hq, a multiple of H
  int64_t n_queries = 0, n_tokens = 0;  // 0 < Q, and Q <= T where causal
  int64_t head_dim = 0;
  DType dtype = DType::kFloat32;
  float scale = 0;         // > 0; 1 / sqrt(head_dim) for the supported models
  HeadRows queries, keys;  // [Hq, Q, d], [H, T, d], after RoPE
  bool causal = true;
  Group group = Group::kMean;
  float factor = 1;
  int64_t n_columns = 0;      // of the first tokens only, 0 < n_columns <= T
  float* out = nullptr;       // [n_rows(), n_columns]
  void* workspace = nullptr;  // CUDA: attention_column_sums_workspace_bytes() of it

  int64_t n_rows() const { return group == Group::kNone ? n_heads : n_kv_heads; }
  // The token up to which the first query sees; none is behind the last one.
  int64_t first_position() const { return causal ? n_tokens - n_queries : n_tokens - 1; }
};

// Sums in double.
void attention_column_sums_reference(const AttentionColumnSums& op);

// The result does not depend on the number of threads.
void attention_column_sums_cpu(const AttentionColumnSums& op);

// Rows must be whole packs of 16 bytes (HeadRows).
size_t attention_column_sums_workspace_bytes(const AttentionColumnSums& op);
CudaStatus attention_column_sums_cuda(const AttentionColumnSums& op, CudaStream stream);

}  // namespace kvbench
