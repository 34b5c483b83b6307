#include "policies/lukv/profile_counts.h"

#include <algorithm>
#include <cmath>

#include "policies/apportion.h"
#include "policies/lukv/allocation.h"

namespace kvbench::lukv {

int64_t profile_row(double ratio) {
  return std::clamp<int64_t>(std::llrint(100 * ratio) - 1, 0, kRatios - 1);
}

std::vector<int64_t> profile_counts(std::span<const float> prune, int64_t n_tokens) {
  const auto n_heads = static_cast<int64_t>(prune.size());
  std::vector<double> ideal;
  for (const float p : prune) {
    ideal.push_back(std::clamp(1 - p, 0.0F, 1.0F) * static_cast<float>(n_tokens));
  }
  // In float32 as in the reference: a sum near a half must round the same way.
  float sum = 0;
  for (const double x : ideal) sum += static_cast<float>(x);
  const int64_t total = std::clamp<int64_t>(std::llrint(sum), n_heads, n_heads * n_tokens);
  std::vector<int64_t> counts = apportion(ideal, total);
  for (auto& count : counts) count = std::clamp<int64_t>(count, 1, n_tokens);
  return counts;
}

}  // namespace kvbench::lukv
