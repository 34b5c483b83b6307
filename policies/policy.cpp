#include "policies/policy.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace kvbench {

int64_t LayerBudget::uniform_count() const {
  const double kept_share = 1.0 - ratio;
  return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(n_tokens()) * kept_share));
}

std::vector<std::vector<int64_t>> Allocator::allocate_layers(
    const std::vector<LayerBudget>& budgets) const {
  std::vector<std::vector<int64_t>> counts;
  for (const auto& budget : budgets) counts.push_back(allocate(budget));
  return counts;
}

void protect(at::Tensor& scores, int64_t sink, int64_t recent) {
  const int64_t n_tokens = scores.size(1);
  const at::Tensor top = scores.max() + 1;
  const int64_t first = std::min(sink, n_tokens), last = std::min(recent, n_tokens);
  scores.narrow(1, 0, first).copy_(top.expand({scores.size(0), first}));
  scores.narrow(1, n_tokens - last, last).copy_(top.expand({scores.size(0), last}));
}

}  // namespace kvbench
