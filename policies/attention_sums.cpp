#include "policies/attention_sums.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

namespace kvbench {
namespace {

// Attention weights of tokens [first, first + n) over the keys that the last of them may see,
// float32 [H, G * n, first + n]; rows of one KV head are its query heads' rows one after another.
at::Tensor attention_rows(const LayerView& layer, const at::Tensor& keys, int64_t first,
                          int64_t n) {
  const int64_t n_heads = keys.size(0), d = keys.size(2), n_visible = first + n;
  const int64_t group = layer.queries.size(0) / n_heads;
  const int64_t first_query = layer.queries.size(1) - keys.size(1) + first;
  const at::Tensor queries =
      (layer.queries.narrow(1, first_query, n).to(at::kFloat) * layer.attention_scale)
          .reshape({n_heads, group * n, d});
  const at::Tensor logits =
      at::bmm(queries, keys.narrow(1, 0, n_visible).transpose(1, 2));  // [H, G * n, visible]
  // Only the square on the diagonal reaches into the future.
  const at::Tensor future = at::ones({n, n}, logits.options().dtype(at::kBool)).triu(1);
  logits.view({n_heads, group, n, n_visible})
      .narrow(3, first, n)
      .masked_fill_(future, -std::numeric_limits<float>::infinity());
  return logits.softmax(-1);
}

}  // namespace

at::Tensor window_attention(const LayerView& layer, int64_t window) {
  const int64_t n_ranked = layer.n_tokens() - window;
  const at::Tensor weights =
      attention_rows(layer, layer.keys.to(at::kFloat), n_ranked, window).narrow(2, 0, n_ranked);
  return weights.reshape({layer.queries.size(0), window, n_ranked});
}

at::Tensor window_votes(const LayerView& layer, int64_t window) {
  return window_attention(layer, window).mean(1);
}

at::Tensor last_attention(const LayerView& layer) {
  return attention_rows(layer, layer.keys.to(at::kFloat), layer.n_tokens() - 1, 1)
      .reshape({layer.queries.size(0), layer.n_tokens()});
}

at::Tensor attention_column_sums(const LayerView& layer) {
  // Weights at a time, 4 MiB: of 1, 4, 16 and 64 MiB the fastest on a CPU. Of very long contexts a
  // few rows are more than that.
  constexpr int64_t kBlockElements = 1 << 20, kMinRows = 16;
  const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
  const int64_t n_query_heads = layer.queries.size(0);
  const int64_t block = std::max(kMinRows, kBlockElements / (n_query_heads * n_tokens));
  const at::Tensor keys = layer.keys.to(at::kFloat);
  at::Tensor sums = at::zeros({n_heads, n_tokens}, keys.options());
  // Whole rows fit into a block, so one pass over the queries does both softmax and sums.
  for (int64_t first = n_tokens - layer.queries.size(1); first < n_tokens; first += block) {
    const int64_t n = std::min(block, n_tokens - first);
    sums.narrow(1, 0, first + n).add_(attention_rows(layer, keys, first, n).sum(1));
  }
  return sums.mul_(static_cast<double>(n_heads) / static_cast<double>(n_query_heads));
}

void raise_window(at::Tensor& scores, int64_t window) {
  if (window == 0) return;
  constexpr double kHair = 0x1p-22;  // two units in the last place of 1
  const int64_t n_ranked = scores.size(1) - window;
  const at::Tensor top = scores.narrow(1, 0, n_ranked).max() + 1;
  const at::Tensor hairs = at::arange(window, scores.options()) * kHair;
  scores.narrow(1, n_ranked, window).copy_(top + hairs * top.abs().clamp_min(1));
}

}  // namespace kvbench
