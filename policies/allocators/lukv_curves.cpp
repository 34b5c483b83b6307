// LU-KV with a profile that is solved instead of looked up: mean loss curves kept as functions, so
// that the total is exact at any ratio and length. An addition to the paper (lukv/mean_curve.h).
#include <limits>

#include "harness/base/error.h"
#include "policies/allocator.h"
#include "policies/lukv/mean_curve.h"
#include "policies/lukv/profile_array.h"

namespace kvbench {
namespace {

class LuKvCurves : public Allocator {
 public:
  explicit LuKvCurves(Params& p) : file_(p, "lukv_curves") {
    p.get("group", group_, "the scorer's group in it; empty = the file's root");
    if (!file_.given()) return;
    file_.read_origin(group_);
    profile_ = lukv::ProfileArray(file_.path(), group_ + "/mean_curve", lukv::kParts,
                                  lukv::ProfileArray::Shape::kRowsLast, 0,
                                  std::numeric_limits<float>::max(), "losses");
    profile_.require_nondecreasing();
    sink_ = file_.sink();
    window_ = file_.window();
    curves_ = lukv::MeanCurves(profile_.values());
  }

  void validate(const Pairing& pairing) const override {
    file_.require_pairing(pairing);
    profile_.require_model(pairing.n_layers, pairing.n_kv_heads);
  }

  // Each layer is solved along with all others: a pass over the parts, which are in order.
  KeepCounts allocate(const LayerBudget& budget) const override {
    const int64_t n_heads = budget.n_kv_heads(), n_tokens = budget.n_tokens();
    file_.require_given();
    profile_.require_model(budget.n_layers, n_heads);
    const auto discards = curves_.discards(
        lukv::DiscardPlan(budget.ratio, budget.n_layers * n_heads, n_tokens, sink_, window_));
    std::vector<int64_t> counts;
    for (int64_t h = 0; h < n_heads; ++h) {
      counts.push_back(n_tokens - discards[budget.layer * n_heads + h]);
    }
    return counts;
  }

 private:
  lukv::ProfileFile file_;
  std::string group_;
  lukv::ProfileArray profile_;  // empty when no file was given
  int64_t sink_ = 0, window_ = 0;
  lukv::MeanCurves curves_;
};

KVB_REGISTER_ALLOCATOR("lukv_curves", LuKvCurves,
                       "budgets solved from a profile's loss curves, exact for any ratio");

}  // namespace
}  // namespace kvbench
