// VaSE (terarachang/VaSE@bfa2692 eval/reasoning_tasks/modified/transformers/cache_utils.py): tokens
// with large values stay, the others are drawn by the attention of the latest queries. Its
// deterministic modes are parameters: attn (large 0, choose attention), range_attn (sinks 0, choose
// attention), attn_rkv (attn with mix 0.5), evict_large_range (large 0, choose small).
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "kernels/attention_column_sums/attention_column_sums_torch.h"
#include "policies/attention_sums.h"
#include "policies/draws.h"
#include "policies/kept.h"
#include "policies/key_redundancy.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

enum class Magnitude { kRange, kVariance, kL2 };
enum class Choose { kSample, kAttention, kSmall };
enum class Order { kSlot, kPosition };

class Vase : public Scorer {
 public:
  explicit Vase(Params& p) {
    p.get("buffer", buffer_, "latest tokens: their queries vote, they are kept themselves");
    p.get("large", large_, "share of the budget for the tokens of the largest values");
    p.get("sinks", sinks_, "first rows that count as the largest values");
    p.choice(
        "magnitude", magnitude_,
        {{"range", Magnitude::kRange}, {"variance", Magnitude::kVariance}, {"l2", Magnitude::kL2}},
        "of a value: largest less smallest component, their variance, or its norm");
    p.choice(
        "choose", choose_,
        {{"sample", Choose::kSample}, {"attention", Choose::kAttention}, {"small", Choose::kSmall}},
        "the others: drawn by attention without replacement, its highest, or small values");
    p.get("temperature", temperature_, "divides the attention's logits");
    p.get("kernel", kernel_, "width of the attention's average pooling, odd; 1 = none");
    p.choice("smooth_order", smooth_order_,
             {{"slot", Order::kSlot}, {"position", Order::kPosition}},
             "whose neighbours are pooled: rows as they lie, which is by rank, or by position");
    p.get("prompt_apart", prompt_apart_,
          "while decoding, the prompt is neither among the large values nor drawn (protect it); "
          "rows stay by position, as Random Attention has them");
    p.get("mix", mix_, "with choose attention: mix * attention - (1 - mix) * redundancy");
    p.get("seed", seed_, "of the draw; -1 takes the sample's own seed");
    p.require_range("buffer", static_cast<double>(buffer_), 1, 1 << 20);
    p.require_range("large", large_, 0, 1);
    p.require_range("sinks", static_cast<double>(sinks_), 0, 1 << 20);
    p.require_range("temperature", temperature_, 1e-6, 1e6);
    p.require_range("kernel", static_cast<double>(kernel_), 1, 1 << 20);
    p.require(kernel_ % 2 == 1, "kernel", "expected an odd width");
    p.require_range("mix", mix_, 0, 1);
    p.require(mix_ == 1 || choose_ == Choose::kAttention, "mix",
              "expected 1 unless attention chooses");
    p.require_range("seed", static_cast<double>(seed_), -1, 9e15);
  }

  // Before tokens are forced in or drawn: the weight of each, or what takes its place.
  at::Tensor score(const LayerView& layer) const override {
    require_tokens(*this, "vase", layer.n_tokens());
    return with_buffer(choose_ == Choose::kSmall ? -magnitudes(layer) : attention(layer));
  }

  bool ranks_by_budget() const override { return true; }

  // The largest values above all, in falling order, then the draws in theirs. The authors round the
  // weights to the model's dtype, where small ones become 0, and torch.multinomial fills a draw up
  // with tokens that it cannot draw. Ours stay float32: one is 0 only where the logits of its whole
  // neighbourhood lie some 85 below every query's highest. Such a token would come last, the lowest
  // slot first (draw_keys()); that they are not counted, which decode_policies.md 3 asks for, is
  // because there are none.
  at::Tensor score_for_counts(const LayerView& layer, const at::Tensor& scores,
                              const std::vector<int64_t>& counts) const override {
    const int64_t n_ranked = layer.n_tokens() - buffer_;
    const at::Tensor base = scores.narrow(1, 0, n_ranked);
    at::Tensor sizes = magnitudes(layer);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    sizes.narrow(1, 0, std::min(sinks_, n_ranked)).fill_(kInfinity);
    // Rows of the prompt that stay apart: the first ones, which leave one place to the others.
    const int64_t n_apart =
        prompt_apart_
            ? std::max(int64_t{0},
                       std::min({layer.n_prompt_rows(), counts[0] - buffer_ - 1, n_ranked}))
            : 0;
    sizes.narrow(1, 0, n_apart).fill_(-kInfinity);
    const at::Tensor order = std::get<1>(sizes.sort(/*stable=*/true, 1, /*descending=*/true));
    const at::Tensor draws =
        choose_ == Choose::kSample
            ? uniform_draws(layer, seed_ < 0 ? layer.seed : static_cast<uint64_t>(seed_))
                  .narrow(1, 0, n_ranked)
            : at::Tensor();
    const at::Tensor ranks = draws.defined() ? draw_keys(base, draws) : base.clone();
    for (int64_t h = 0; h < layer.n_kv_heads(); ++h) {
      const auto large = static_cast<int64_t>(static_cast<double>(counts[h]) * large_);
      const int64_t n_forced =
          std::clamp(large, int64_t{0},
                     std::max(int64_t{0}, std::min(counts[h] - buffer_, n_ranked) - n_apart));
      // Above all draws, whose keys are below 25, all weights and all negative ranges.
      constexpr double kAboveAll = 1000;
      ranks[h].index_copy_(0, order[h].narrow(0, 0, n_forced),
                           at::arange(n_forced, 0, -1, ranks.options()) + kAboveAll);
    }
    return with_buffer(ranks);
  }

  int64_t least_tokens() const override { return buffer_ + 1; }

  std::optional<DecodeNeeds> decode_needs() const override {
    DecodeNeeds needs{.queries = buffer_};
    if (!prompt_apart_) needs.ranked_before_last = buffer_;
    return needs;
  }

 private:
  // Of the tokens before the buffer, float32 [H, n].
  at::Tensor magnitudes(const LayerView& layer) const {
    const at::Tensor values = layer.values.narrow(1, 0, layer.n_tokens() - buffer_).to(at::kFloat);
    switch (magnitude_) {
      case Magnitude::kRange:
        return values.amax(-1) - values.amin(-1);
      case Magnitude::kVariance:
        return values.var(-1);
      case Magnitude::kL2:
        break;
    }
    return values.norm(2, -1);
  }

  // Mean attention that they get from the buffer's queries, over themselves alone, pooled; less
  // their redundancy. float32 [H, n].
  at::Tensor attention(const LayerView& layer) const {
    const at::Tensor queries = latest_queries(layer, std::min(buffer_, layer.queries.size(1)));
    const at::Tensor keys = layer.keys.narrow(1, 0, layer.n_tokens() - buffer_);
    const at::Tensor sums = attention_column_sums(
        queries, keys, layer.attention_scale / temperature_, "mean", /*causal=*/false);
    const at::Tensor weights = pooled(layer, sums / queries.size(1));
    if (mix_ == 1) return weights;
    const at::Tensor alike = key_redundancy(keys, Redundancy::kPlain);
    return weights * mix_ - alike * (1 - mix_);
  }

  at::Tensor pooled(const LayerView& layer, const at::Tensor& weights) const {
    if (kernel_ == 1) return weights;
    const auto pool = [&](const at::Tensor& x) {  // zeros beyond the ends count
      return at::avg_pool1d(x, kernel_, 1, kernel_ / 2);
    };
    if (smooth_order_ == Order::kSlot || layer.positions.empty()) return pool(weights);
    const at::Tensor positions = at::tensor(layer.positions, at::kLong)
                                     .view({layer.n_kv_heads(), layer.n_tokens()})
                                     .narrow(1, 0, weights.size(1));
    const at::Tensor order = std::get<1>(positions.sort(1)).to(weights.device());
    return at::empty_like(weights).scatter_(1, order, pool(weights.gather(1, order)));
  }

  at::Tensor with_buffer(const at::Tensor& ranks) const {
    return with_raised_window(ranks, ranks.size(1) + buffer_, buffer_);
  }

  int64_t buffer_ = 64, sinks_ = 4, kernel_ = 5, seed_ = -1;
  bool prompt_apart_ = false;
  double large_ = 0.25, temperature_ = 1, mix_ = 1;
  Magnitude magnitude_ = Magnitude::kRange;
  Choose choose_ = Choose::kSample;
  Order smooth_order_ = Order::kSlot;
};

KVB_REGISTER_SCORER("vase", Vase, "large values stay, the rest is drawn by attention (VaSE)");

}  // namespace
}  // namespace kvbench
