// CriticalKV (Feng et al. 2025, arXiv 2502.03805): half of a head's budget goes to the highest
// scores, the rest to the tokens that move the attention output most. policies.md 2.9; kvpress
// 0.5.5, CriticalKVPress.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "policies/kept.h"
#include "policies/weighting.h"

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

  // The first stage's tokens above everything, then (s + eps) * g. g is made only of tokens that
  // can be among the kept; all others are -inf.
  at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                   const std::vector<int64_t>& counts) const override {
    std::vector<int64_t> forced;
    for (const int64_t count : counts) forced.push_back(first_stage_count(count));
    const KeptTokens first_stage = select_top(scores, forced);
    at::Tensor weighed = at::full_like(scores, -kInfinity);
    for (int64_t h = 0; h < layer.n_kv_heads(); ++h) {
      const auto begin = first_stage.positions.begin() + first_stage.offsets[h];
      const std::vector<int64_t> positions(begin, begin + forced[h]);
      const at::Tensor safe = at::tensor(positions, at::kLong).to(weighed.device());
      second_stage(layer, h, scores[h], safe, counts[h] - forced[h], weighed[h]);
      weighed[h].index_fill_(0, safe, std::numeric_limits<float>::max());
    }
    return weighed;
  }

 private:
  int64_t first_stage_count(int64_t count) const {
    if (first_stage_ratio_ == 0 || count == 0) return 0;
    return std::max<int64_t>(1,
                             static_cast<int64_t>(static_cast<double>(count) * first_stage_ratio_));
  }

  // Writes (s + eps) * g of one head for the `count` highest outside `safe`, and for some more.
  //   g_j = mean over the group of the L1 norm of W_O^(q) V_j = ||P V_j||_1 / G, P [G D, d];
  // W_O^(q) are the columns of W_O that query head q feeds. A quadratic form bounds it, for a small
  // part of the work:
  //   g_j <= sqrt(G D) / G * ||P V_j||_2 = sqrt(D / G * V_j^T (P^T P) V_j).
  // Tokens are taken by falling bound until it is below the `count`-th highest product so far.
  void second_stage(const LayerView& layer, int64_t h, const at::Tensor& scores,
                    const at::Tensor& safe, int64_t count, at::Tensor weighed) const {
    if (count == 0) return;
    constexpr double kSlack = 1 + 1e-3;          // over rounding
    constexpr int64_t kBlockElements = 1 << 19;  // projected values at a time: 2 MiB
    const int64_t hidden = layer.output_weight.size(0), d = layer.values.size(2);
    const int64_t group = layer.output_weight.size(1) / (layer.n_kv_heads() * d);
    const at::Tensor projection = layer.output_weight.narrow(1, h * group * d, group * d)
                                      .to(at::kFloat)
                                      .unflatten(1, {group, d})
                                      .permute({2, 1, 0})
                                      .reshape({d, group * hidden});  // P^T
    const at::Tensor values = layer.values[h].to(at::kFloat);         // [T, d]
    const at::Tensor squares =
        at::mm(values, at::mm(projection, projection.t())).mul_(values).sum(-1);
    const at::Tensor bounds = squares.clamp_min_(0).mul_(kSlack * hidden / group).sqrt_();
    const at::Tensor shifted = scores + eps_;
    const at::Tensor ceilings = shifted.clamp_min(0).mul_(bounds).index_fill_(0, safe, -kInfinity);
    const auto [falling, order] = ceilings.sort(/*dim=*/0, /*descending=*/true);
    const int64_t n_ranked = order.size(0) - safe.size(0);
    const int64_t block = std::max<int64_t>(1, kBlockElements / projection.size(1));
    for (int64_t first = 0; first < n_ranked; first += block) {
      if (first >= count) {
        const at::Tensor lowest = std::get<0>(weighed.topk(count)).min();
        if ((falling[first] < lowest).item<bool>()) break;
      }
      const at::Tensor tokens = order.narrow(0, first, std::min(block, n_ranked - first));
      const at::Tensor norms =
          at::mm(values.index_select(0, tokens), projection).abs_().sum(-1) / group;
      weighed.index_copy_(0, tokens, shifted.index_select(0, tokens) * norms);
    }
  }

  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  double eps_ = 1e-4, first_stage_ratio_ = 0.5;
};

KVB_REGISTER_WEIGHTING("critical", Critical,
                       "second half of the budget by score times projected value (CriticalKV)");

}  // namespace
}  // namespace kvbench
