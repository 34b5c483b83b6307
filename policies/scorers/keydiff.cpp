// KeyDiff (Park et al. 2025, arXiv 2504.15364): keys unlike the others are kept. policies.md 2.4.
// One shot over the context, or selected block by block. The paper's own setting, where the model
// never holds more than budget and block, is a policy's `prefill: {chunk: N}`.
#include <ATen/ATen.h>

#include "kernels/keydiff_scores/keydiff_scores_torch.h"
#include "policies/attention_sums.h"
#include "policies/kept.h"
#include "policies/scorer.h"

namespace kvbench {
namespace {

class KeyDiff : public Scorer {
 public:
  explicit KeyDiff(Params& p) {
    p.get("recent", recent_, "last tokens that are always kept (the paper's sliding variant)");
    p.get("block_size", block_size_,
          "tokens that join the selection at a time, as in kvpress's BlockPress; 0 = all at once");
    p.require_range("recent", static_cast<double>(recent_), 0, 1 << 20);
    p.require_range("block_size", static_cast<double>(block_size_), 0, 1 << 20);
  }

  at::Tensor score(const LayerView& layer) const override {
    require_tokens(*this, "keydiff", layer.n_tokens());
    return score_keys(layer.keys);
  }

  int64_t least_tokens() const override { return recent_ + 1; }

  bool ranks_by_budget() const override { return block_size_ > 0; }

  // Block by block: a head begins with its first n tokens; each block of later ones joins them, and
  // the n that differ most from the anchor of those present stay. Survivors outrank all others.
  at::Tensor score_for_counts(const LayerView& layer, const at::Tensor& scores,
                              const std::vector<int64_t>& counts) const override {
    at::Tensor lifted = scores.clone();
    const at::Tensor lift = scores.max() - scores.min() + 1;
    // Neighbours that keep as many tokens are selected together.
    for (int64_t first = 0, end; first < layer.n_kv_heads(); first = end) {
      for (end = first + 1; end < layer.n_kv_heads() && counts[end] == counts[first];) ++end;
      const at::Tensor survivors =
          select_by_blocks(layer.keys.narrow(0, first, end - first), counts[first]);
      lifted.narrow(0, first, end - first).scatter_add_(1, survivors, lift.expand_as(survivors));
    }
    return lifted;
  }

  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  // s_j = -cos(K_j, a), a the mean of the normalised keys; keys [H, T, d] after RoPE.
  at::Tensor score_keys(const at::Tensor& keys) const {
    at::Tensor scores = keydiff_scores(keys);
    raise_window(scores, std::min(recent_, scores.size(1) - 1));
    return scores;
  }

  // Positions, ascending, int64 [H, n], that stay of keys [H, T, d]. No host waits for them.
  at::Tensor select_by_blocks(const at::Tensor& keys, int64_t n) const {
    const int64_t n_heads = keys.size(0), n_tokens = keys.size(1), d = keys.size(2);
    const auto options = keys.options().dtype(at::kLong);
    at::Tensor kept = at::arange(n, options).repeat({n_heads, 1});
    for (int64_t first = n; first < n_tokens; first += block_size_) {
      const int64_t end = std::min(first + block_size_, n_tokens);
      const at::Tensor block = at::arange(first, end, options).expand({n_heads, end - first});
      const at::Tensor present = at::cat({kept, block}, 1);
      const at::Tensor rows = keys.gather(1, present.unsqueeze(-1).expand({-1, -1, d}));
      const Selection stay = select(score_keys(rows), std::vector(n_heads, n));
      kept = present.gather(1, stay.positions.view({n_heads, n}).to(at::kLong));
    }
    return kept;
  }

  int64_t recent_ = 0, block_size_ = 0;
};

KVB_REGISTER_SCORER("keydiff", KeyDiff, "negative cosine of a key to the mean key direction");

}  // namespace
}  // namespace kvbench
