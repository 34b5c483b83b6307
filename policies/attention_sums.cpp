#include "policies/attention_sums.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "kernels/causal_softmax_sums_torch.h"

namespace kvbench {
namespace {

// Queries of tokens [first, first + n) times the attention scale, float32 [H, G * n, d]; rows of
// one KV head are its query heads' rows one after another.
at::Tensor scaled_queries(const LayerView& layer, int64_t first, int64_t n) {
  const int64_t n_heads = layer.n_kv_heads(), n_query_heads = layer.queries.size(0);
  const int64_t first_with_query = layer.n_tokens() - layer.queries.size(1);
  return (layer.queries.narrow(1, first - first_with_query, n).to(at::kFloat) *
          layer.attention_scale)
      .reshape({n_heads, n_query_heads / n_heads * n, layer.keys.size(2)});
}

// What each token gets of the attention of the tokens from `begin` on, float32 [Hq, T]: the column
// sums of their weights. Whole rows of logits fit into a block, so one pass does softmax and sums.
at::Tensor sums_over_queries(const LayerView& layer, int64_t begin) {
  // Logits at a time, 8 MiB: of 1, 2, 4, 8 and 16 MiB the fastest on a CPU. Of very long contexts a
  // few rows are more than that.
  constexpr int64_t kBlockElements = 1 << 21, kMinRows = 16;
  const int64_t n_tokens = layer.n_tokens(), n_query_heads = layer.queries.size(0);
  const int64_t block = std::max(kMinRows, kBlockElements / (n_query_heads * n_tokens));
  const at::Tensor keys = layer.keys.to(at::kFloat).transpose(1, 2);  // [H, d, T]
  at::Tensor sums = at::zeros({n_query_heads, n_tokens}, keys.options());
  for (int64_t first = begin; first < n_tokens; first += block) {
    const int64_t n = std::min(block, n_tokens - first), n_visible = first + n;
    const at::Tensor logits =
        at::bmm(scaled_queries(layer, first, n), keys.narrow(2, 0, n_visible));
    sums.narrow(1, 0, n_visible)
        .add_(causal_softmax_sums(logits.view({n_query_heads, n, n_visible})));
  }
  return sums;
}

}  // namespace

at::Tensor window_attention(const LayerView& layer, int64_t window) {
  const int64_t n_query_heads = layer.queries.size(0), n_tokens = layer.n_tokens();
  const int64_t n_ranked = n_tokens - window;
  const at::Tensor logits =
      at::bmm(scaled_queries(layer, n_ranked, window), layer.keys.to(at::kFloat).transpose(1, 2))
          .view({n_query_heads, window, n_tokens});
  // Only the square on the diagonal reaches into the future.
  const at::Tensor future = at::ones({window, window}, logits.options().dtype(at::kBool)).triu(1);
  logits.narrow(2, n_ranked, window).masked_fill_(future, -std::numeric_limits<float>::infinity());
  return logits.softmax(-1).narrow(2, 0, n_ranked);
}

at::Tensor window_votes(const LayerView& layer, int64_t window) {
  const int64_t n_ranked = layer.n_tokens() - window;
  return sums_over_queries(layer, n_ranked).narrow(1, 0, n_ranked) / window;
}

at::Tensor last_attention(const LayerView& layer) {
  return sums_over_queries(layer, layer.n_tokens() - 1);
}

at::Tensor attention_column_sums(const LayerView& layer) {
  return sums_over_queries(layer, layer.n_tokens() - layer.queries.size(1))
      .unflatten(0, {layer.n_kv_heads(), -1})
      .mean(1);
}

void raise_window(at::Tensor& scores, int64_t window) {
  if (window == 0) return;
  constexpr double kHair = 0x1p-22;  // two units in the last place of 1
  const int64_t n_ranked = scores.size(1) - window;
  const at::Tensor top = above(scores.narrow(1, 0, n_ranked));
  const at::Tensor hairs = at::arange(window, scores.options()) * kHair;
  scores.narrow(1, n_ranked, window).copy_(top + hairs * top.abs().clamp_min(1));
}

}  // namespace kvbench
