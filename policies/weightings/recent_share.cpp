// A share of every head's budget for its latest tokens, as in H2O (arXiv 2306.14048), whose cache
// is half heavy hitters, half recent ones. policies.md 6.
#include <ATen/ATen.h>

#include "policies/weighting.h"

namespace kvbench {
namespace {

class RecentShare : public Weighting {
 public:
  explicit RecentShare(Params& p) {
    p.get("share", share_, "of a head's keep count that goes to its latest tokens, rounded down");
    p.require_range("share", share_, 0, 1);
  }

  at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                   const std::vector<int64_t>& counts) const override {
    at::Tensor raised = scores.clone();
    const at::Tensor lift = scores.max() - scores.min() + 1;
    for (int64_t h = 0; h < layer.n_kv_heads(); ++h) {
      const auto recent = static_cast<int64_t>(static_cast<double>(counts[h]) * share_);
      raised[h].narrow(0, layer.n_tokens() - recent, recent).add_(lift);
    }
    return raised;
  }

 private:
  double share_ = 0.5;
};

KVB_REGISTER_WEIGHTING("recent_share", RecentShare,
                       "a share of each head's budget for its latest tokens (H2O)");

}  // namespace
}  // namespace kvbench
