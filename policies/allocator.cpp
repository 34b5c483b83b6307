#include "policies/allocator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace kvbench {

BudgetRule::BudgetRule(Params& p) {
  p.choice("budget_rounding", rounding,
           {{"kvpress", Rounding::kKvpress}, {"exact", Rounding::kExact}},
           "T * (1 - ratio) in floating point, as kvpress, or in exact decimals");
  p.get("capacity", capacity, "tokens kept per head instead of the ratio's share; 0 = the ratio's");
  p.require_range("capacity", static_cast<double>(capacity), 0, 1 << 30);
}

double LayerBudget::uniform_share(const BudgetRule& rule) const {
  const int64_t n_tokens = this->n_tokens();
  if (rule.capacity > 0) return static_cast<double>(std::min(rule.capacity, n_tokens));
  if (rule.rounding == BudgetRule::Rounding::kKvpress) {
    return static_cast<double>(n_tokens) * (1.0 - ratio);
  }
  constexpr int64_t kParts = 1'000'000;  // six decimals of the ratio; whole percents are exact
  const int64_t removed = std::llround(ratio * static_cast<double>(kParts));
  return static_cast<double>(n_tokens * (kParts - removed)) / static_cast<double>(kParts);
}

int64_t LayerBudget::uniform_count(const BudgetRule& rule) const {
  return std::max<int64_t>(1, static_cast<int64_t>(uniform_share(rule)));
}

std::vector<KeepCounts> Allocator::allocate_layers(const std::vector<LayerBudget>& budgets) const {
  std::vector<KeepCounts> counts;
  for (const auto& budget : budgets) counts.push_back(allocate(budget));
  return counts;
}

}  // namespace kvbench
