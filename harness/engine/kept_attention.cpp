#include "harness/engine/kept_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <span>

namespace kvbench {
namespace {

constexpr int64_t kBlock = 256;  // rows: [group, kBlock, kept] weights are at hand at once
constexpr double kUnseen = -std::numeric_limits<double>::infinity();

// One KV head's part of `out` [T, group, d]; queries [group, T, d], keys and values [T, d].
void attend_head(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                 double scale, std::span<const int64_t> kept, const at::Tensor& out) {
  const int64_t n_tokens = keys.size(0);
  const at::Tensor positions =
      at::tensor(at::IntArrayRef(kept.data(), kept.size()), at::kLong).to(keys.device());
  const at::Tensor kept_keys = keys.index_select(0, positions).to(at::kFloat).t();
  const at::Tensor kept_values = values.index_select(0, positions).to(at::kFloat);
  const at::Tensor is_kept =
      at::zeros({n_tokens}, positions.options().dtype(at::kBool)).index_fill_(0, positions, 1);
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    // How many of the kept ones come before the block's end.
    const auto n_seen = std::lower_bound(kept.begin(), kept.end(), first + n) - kept.begin();
    const at::Tensor q = queries.narrow(1, first, n).to(at::kFloat) * scale;
    const at::Tensor own_keys = keys.narrow(0, first, n).to(at::kFloat);
    const at::Tensor own_values = values.narrow(0, first, n).to(at::kFloat);
    const at::Tensor rows = at::arange(first, first + n, positions.options()).unsqueeze(1);
    const at::Tensor logits =
        at::matmul(q, kept_keys.narrow(1, 0, n_seen))
            .masked_fill_(positions.narrow(0, 0, n_seen) > rows, kUnseen);  // [group, n, n_seen]
    const at::Tensor own = (q * own_keys)
                               .sum(-1, /*keepdim=*/true)
                               .masked_fill_(is_kept.narrow(0, first, n).unsqueeze(1),
                                             kUnseen);  // those are among the kept
    const at::Tensor weights = at::cat({logits, own}, -1).softmax(-1);
    const at::Tensor attended =
        at::matmul(weights.narrow(-1, 0, n_seen), kept_values.narrow(0, 0, n_seen)) +
        weights.narrow(-1, n_seen, 1) * own_values;
    out.narrow(0, first, n).copy_(attended.transpose(0, 1));
  }
}

}  // namespace

at::Tensor kept_attention(const LayerView& layer, const KeptTokens& kept) {
  const int64_t n_tokens = layer.n_tokens(), n_query_heads = layer.queries.size(0);
  const int64_t group = n_query_heads / layer.n_kv_heads();
  at::Tensor out = at::empty({n_tokens, n_query_heads, layer.keys.size(2)}, layer.keys.options());
  for (int64_t h = 0; h < layer.n_kv_heads(); ++h) {
    const std::span<const int64_t> positions(kept.positions.data() + kept.offsets[h],
                                             static_cast<size_t>(kept.count(h)));
    attend_head(layer.queries.narrow(0, h * group, group), layer.keys[h], layer.values[h],
                layer.attention_scale, positions, out.narrow(1, h * group, group));
  }
  return out;
}

}  // namespace kvbench
