// Causal attention weights summed over queries, as the attention-based scorers need them. Weights
// are float32 whatever the model's dtype, and no [T, T] matrix is ever made.
#pragma once

#include "policies/scorer.h"

namespace kvbench {

// Attention of the last `window` queries to every earlier token, float32 [Hq, window, T - window],
// 0 < window < T, window <= Q. The softmax runs over all causal keys, the window's own included.
at::Tensor window_attention(const LayerView& layer, int64_t window);

// The last n queries, [Hq, n, d].
at::Tensor latest_queries(const LayerView& layer, int64_t n);

// Attention of the last query to every token, its own included, float32 [Hq, T].
at::Tensor last_attention(const LayerView& layer);

// Attention that each token gets from the Q queries, its own included: the column sums of the
// weights averaged over the GQA group, float32 [H, T]
// (kernels/attention_column_sums/attention_column_sums.h).
at::Tensor attention_column_sums(const LayerView& layer);

// Raises the last `window` tokens above the others (scorer.h, above()). Should a budget be smaller
// than the window, its latest tokens stay (policies.md 2.5, window_overflow: latest): each later
// one stands a hair above the one before. scores: float32 [H, T], changed in place, 0 <= window <
// T.
void raise_window(at::Tensor& scores, int64_t window);

// Scores [H, n_tokens] of which `ranked` [H, n] has the first, and whose last `window` are raised
// above them; n_tokens - window <= n <= n_tokens.
at::Tensor with_raised_window(const at::Tensor& ranked, int64_t n_tokens, int64_t window);

}  // namespace kvbench
