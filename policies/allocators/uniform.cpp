// The same budget for every layer and KV head. policies.md 3.1.
#include "policies/allocator.h"

namespace kvbench {
namespace {

class Uniform : public Allocator {
 public:
  explicit Uniform(Params& p) : rule_(p) {}

  KeepCounts allocate(const LayerBudget& budget) const override {
    return std::vector<int64_t>(budget.n_kv_heads(), budget.uniform_count(rule_));
  }

  bool ignores_ratio() const override { return rule_.ignores_ratio(); }

 private:
  BudgetRule rule_;
};

KVB_REGISTER_ALLOCATOR("uniform", Uniform, "the same budget for every layer and head");

}  // namespace
}  // namespace kvbench
