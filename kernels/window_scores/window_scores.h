// SnapKV's scores of the tokens before a window (Li et al. 2024, arXiv 2404.14469; PyramidKV's are
// the same): the attention that the window's queries pay to them, pooled over neighbouring tokens.
//
//   votes[q, t] = 1/W sum_i softmax_t(scale * query[q, i] . key[t]), t < T - W
//
// where query i is of token T - W + i and the softmax runs over all tokens up to its own. Pooling
// and the reduction over the GQA group follow in either order. Pooling has stride 1 and the same
// number of tokens as result: the average counts zeros beyond either end, the maximum does not.
// Weights and scores are float32 whatever the dtype. Nothing of size Hq * W * T is stored.
#pragma once

#include "kernels/attention_column_sums/attention_column_sums.h"

namespace kvbench {

struct WindowScores {
  enum class Pooling { kAvg, kMax };
  enum class Order { kPoolFirst, kGroupFirst };
  enum class Reduce { kMean, kMax, kSum, kNone };  // kNone: a row for every query head

  int64_t n_heads = 0, n_kv_heads = 0;  // Hq, a multiple of H
  int64_t window = 0, n_tokens = 0;     // 0 < W < T
  int64_t head_dim = 0;
  DType dtype = DType::kFloat32;
  float scale = 0;                // > 0; 1 / sqrt(head_dim) for the supported models
  const void* queries = nullptr;  // [Hq, W, d] contiguous, after RoPE
  HeadRows keys;                  // [H, T, d], after RoPE
  int64_t kernel = 1;             // width of the pooling, odd
  Pooling pooling = Pooling::kMax;
  Order order = Order::kPoolFirst;
  Reduce reduce = Reduce::kMean;
  float* out = nullptr;       // [H, T - W], of kNone [Hq, T - W]
  void* workspace = nullptr;  // CUDA: window_scores_workspace_bytes() of it

  int64_t n_ranked() const { return n_tokens - window; }
  // Its votes, [Hq, T - W].
  AttentionColumnSums votes() const {
    return {.n_heads = n_heads,
            .n_kv_heads = n_kv_heads,
            .n_queries = window,
            .n_tokens = n_tokens,
            .head_dim = head_dim,
            .dtype = dtype,
            .scale = scale,
            .queries = {queries, window * head_dim, head_dim},
            .keys = keys,
            .group = AttentionColumnSums::Group::kNone,
            .factor = 1 / static_cast<float>(window),
            .n_columns = n_ranked(),
            .out = out,
            .workspace = workspace};
  }
};

// Sums in double.
void window_scores_reference(const WindowScores& op);

// The result does not depend on the number of threads.
void window_scores_cpu(const WindowScores& op);

// head_dim: a multiple of 8.
size_t window_scores_workspace_bytes(const WindowScores& op);
CudaStatus window_scores_cuda(const WindowScores& op, CudaStream stream);

}  // namespace kvbench
