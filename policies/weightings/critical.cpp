// CriticalKV (Feng et al. 2025, arXiv 2502.03805): half of a head's budget goes to the highest
// scores, the rest to the tokens that move the attention output most. policies.md 2.9; kvpress
// 0.5.5, CriticalKVPress.
#include <ATen/ATen.h>

#include <algorithm>
#include <limits>

#include "kernels/projected_value_norms/projected_value_norms_torch.h"
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

  // The first stage's tokens above everything, then (s + eps) * g:
  //   g_j = mean over the group of the L1 norm of W_O^(q) V_j,
  // W_O^(q) being the columns of W_O that query head q feeds. No host waits for any of it.
  at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                   const std::vector<int64_t>& counts) const override {
    std::vector<int64_t> forced;
    for (const int64_t count : counts) forced.push_back(first_stage_count(count));
    const at::Tensor safe = select(scores, forced).positions.to(at::kLong);
    at::Tensor weighed =
        (scores + eps_) * projected_value_norms(layer.values, layer.output_weight, 1);
    for (int64_t h = 0, first = 0; h < layer.n_kv_heads(); first += forced[h++]) {
      weighed[h].index_fill_(0, safe.narrow(0, first, forced[h]),
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

  double eps_ = 1e-4, first_stage_ratio_ = 0.5;
};

KVB_REGISTER_WEIGHTING("critical", Critical,
                       "second half of the budget by score times projected value (CriticalKV)");

}  // namespace
}  // namespace kvbench
