// All heads of all layers compete for the whole budget: AdaKV's selection, flattened over layers
// too. policies.md 3.3, last line. It compares scores across layers as they are.
#include <ATen/ATen.h>

#include <algorithm>

#include "harness/base/error.h"
#include "kernels/common/host_torch.h"
#include "kernels/flattened_counts/flattened_counts_torch.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

enum class Total { kHeads, kEntries };

class Global : public Allocator {
 public:
  explicit Global(Params& p) : rule_(p) {
    p.choice("total", total_, {{"heads", Total::kHeads}, {"entries", Total::kEntries}},
             "the heads' uniform budgets added up, or all entries less trunc(ratio times them), as "
             "kvpress's KVzip");
  }

  bool reads_scores() const override { return true; }
  bool spans_layers() const override { return true; }

  KeepCounts allocate(const LayerBudget&) const override {
    KVB_CHECK(false, "the global allocator needs all layers at once");
  }

  // The highest of all scores, L H n or as many as `total` says, the best one of each head first.
  // Ties go to the lower layer, then to the lower head.
  std::vector<KeepCounts> allocate_layers(const std::vector<LayerBudget>& budgets) const override {
    std::vector<at::Tensor> scores;
    for (const auto& budget : budgets) scores.push_back(budget.scores);
    const at::Tensor all = at::cat(scores);  // [L * H, T]
    int64_t total = all.size(0) * budgets.front().uniform_count(rule_);
    if (total_ == Total::kEntries && rule_.capacity == 0) {
      const auto removed =
          static_cast<int64_t>(static_cast<double>(all.numel()) * budgets.front().ratio);
      total = std::max(all.size(0), all.numel() - removed);
    }
    const auto counts = host_values(flattened_counts(all, total, /*safe=*/1));
    std::vector<KeepCounts> layers;
    auto next = counts.begin();
    for (const auto& budget : budgets) {
      layers.emplace_back(std::vector(next, next + budget.n_kv_heads()));
      next += budget.n_kv_heads();
    }
    return layers;
  }

  bool ignores_ratio() const override { return rule_.ignores_ratio(); }

 private:
  BudgetRule rule_;
  Total total_ = Total::kHeads;
};

KVB_REGISTER_ALLOCATOR("global", Global, "all heads of all layers compete for the whole budget");

}  // namespace
}  // namespace kvbench
