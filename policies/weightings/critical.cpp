// CriticalKV (Feng et al. 2025, arXiv 2502.03805): half of a head's budget goes to the highest
// scores, the rest to the tokens that move the attention output most. policies.md 2.9; kvpress
// 0.5.5, CriticalKVPress.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "policies/kept.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

class Critical : public Weighting {
 public:
  explicit Critical(Params& p) {
    p.get("eps", eps_, "added to the score before the projected value weighs it");
    p.get("first_stage_ratio", first_stage_ratio_,
          "share of a head's budget that its plain scores decide; at least one token unless 0");
    p.require_range("eps", eps_, 0, 1e6);
    p.require_range("first_stage_ratio", first_stage_ratio_, 0, 1);
  }

  // (s + eps) * g, and the first stage's tokens above everything.
  at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                   const std::vector<int64_t>& counts) const override {
    std::vector<int64_t> forced;
    for (const int64_t count : counts) forced.push_back(first_stage_count(count));
    const KeptTokens first_stage = select_top(scores, forced);
    at::Tensor weighed = (scores + eps_) * projected_norms(layer);
    for (int64_t h = 0; h < layer.n_kv_heads(); ++h) {
      const auto begin = first_stage.positions.begin() + first_stage.offsets[h];
      const std::vector<int64_t> positions(begin, begin + first_stage.count(h));
      weighed[h].index_fill_(0, at::tensor(positions, at::kLong).to(weighed.device()),
                             std::numeric_limits<float>::max());
    }
    return weighed;
  }

 private:
  int64_t first_stage_count(int64_t count) const {
    if (first_stage_ratio_ == 0 || count == 0) return 0;
    return std::max<int64_t>(1,
                             static_cast<int64_t>(static_cast<double>(count) * first_stage_ratio_));
  }

  // g[h, j] = mean over the group of the L1 norm of W_O^(q) V[h, j], float32 [H, T]; W_O^(q) are
  // the columns of W_O that query head q feeds.
  at::Tensor projected_norms(const LayerView& layer) const {
    constexpr int64_t kBlockElements = 1 << 22;  // projected values at a time: 16 MiB
    const int64_t n_tokens = layer.n_tokens(), n_heads = layer.n_kv_heads();
    const int64_t hidden = layer.output_weight.size(0), d = layer.values.size(2);
    const int64_t group = layer.output_weight.size(1) / (n_heads * d);
    const int64_t block = std::max<int64_t>(1, kBlockElements / hidden);
    const at::Tensor values = layer.values.to(at::kFloat);
    at::Tensor norms = at::zeros({n_heads, n_tokens}, values.options());
    for (int64_t q = 0; q < n_heads * group; ++q) {
      const int64_t h = q / group;
      const at::Tensor projection =
          layer.output_weight.narrow(1, q * d, d).to(at::kFloat).t();  // [d, D]
      for (int64_t first = 0; first < n_tokens; first += block) {
        const int64_t n = std::min(block, n_tokens - first);
        const at::Tensor projected = at::mm(values[h].narrow(0, first, n), projection);
        norms[h].narrow(0, first, n).add_(projected.abs_().sum(-1));
      }
    }
    return norms.div_(group);
  }

  double eps_ = 1e-4, first_stage_ratio_ = 0.5;
};

KVB_REGISTER_WEIGHTING("critical", Critical,
                       "second half of the budget by score times projected value (CriticalKV)");

}  // namespace
}  // namespace kvbench
