// Every token whose score reaches a value stays: budgets follow the scores, not a ratio. How
// learned scores are used with kvpress 0.5.5's DMSPress, without its sliding window. What share of
// the entries stays is in every row's kept_ratio.
#include <ATen/ATen.h>

#include "kernels/common/host_torch.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

class Threshold : public Allocator {
 public:
  explicit Threshold(Params& p) {
    p.get("value", value_, "tokens with this score or a higher one stay, one a head at least");
  }

  bool reads_scores() const override { return true; }
  bool ignores_ratio() const override { return true; }

  KeepCounts allocate(const LayerBudget& budget) const override {
    const auto counts = host_values(budget.scores.ge(value_).sum(1).clamp_min(1).to(at::kInt));
    return std::vector<int64_t>(counts.begin(), counts.end());
  }

 private:
  double value_ = 0.5;
};

KVB_REGISTER_ALLOCATOR("threshold", Threshold, "every token whose score reaches a value stays");

}  // namespace
}  // namespace kvbench
