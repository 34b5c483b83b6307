#include "policies/attention_sums.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "kernels/attention_column_sums/attention_column_sums_torch.h"

namespace kvbench {

at::Tensor window_attention(const LayerView& layer, int64_t window) {
  const int64_t n_heads = layer.n_kv_heads(), n_query_heads = layer.queries.size(0);
  const int64_t n_tokens = layer.n_tokens(), n_ranked = n_tokens - window;
  const at::Tensor queries = latest_queries(layer, window).to(at::kFloat) * layer.attention_scale;
  const at::Tensor logits =
      at::bmm(queries.reshape({n_heads, n_query_heads / n_heads * window, layer.keys.size(2)}),
              layer.keys.to(at::kFloat).transpose(1, 2))
          .view({n_query_heads, window, n_tokens});
  // Only the square on the diagonal reaches into the future.
  const at::Tensor future = at::ones({window, window}, logits.options().dtype(at::kBool)).triu(1);
  logits.narrow(2, n_ranked, window).masked_fill_(future, -std::numeric_limits<float>::infinity());
  return logits.softmax(-1).narrow(2, 0, n_ranked);
}

at::Tensor latest_queries(const LayerView& layer, int64_t n) {
  return layer.queries.narrow(1, layer.queries.size(1) - n, n);
}

at::Tensor last_attention(const LayerView& layer) {
  return attention_column_sums(latest_queries(layer, 1), layer.keys, layer.attention_scale, "none");
}

at::Tensor attention_column_sums(const LayerView& layer) {
  return attention_column_sums(layer.queries, layer.keys, layer.attention_scale);
}

void raise_window(at::Tensor& scores, int64_t window) {
  if (window == 0) return;
  constexpr double kHair = 0x1p-22;  // two units in the last place of 1
  const int64_t n_ranked = scores.size(1) - window;
  const at::Tensor top = above(scores.narrow(1, 0, n_ranked));
  const at::Tensor hairs = at::arange(window, scores.options()) * kHair;
  scores.narrow(1, n_ranked, window).copy_(top + hairs * top.abs().clamp_min(1));
}

at::Tensor with_raised_window(const at::Tensor& ranked, int64_t n_tokens, int64_t window) {
  at::Tensor scores = at::empty({ranked.size(0), n_tokens}, ranked.options());
  scores.narrow(1, 0, ranked.size(1)).copy_(ranked);
  raise_window(scores, window);
  return scores;
}

}  // namespace kvbench
