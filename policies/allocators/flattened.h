// How many entries of each head a selection over several heads at once takes.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace kvbench {

// The `total` highest of scores [N, T] taken as one list, of which the `safe` highest of each row
// are taken first (kvpress sets those to infinity). Returns how many each row has in it. Ties go to
// the lower row (policies.md 0.2). N * safe <= total <= N * T; scores are float32.
inline std::vector<int64_t> flattened_counts(const at::Tensor& scores, int64_t total,
                                             int64_t safe) {
  const int64_t n_rows = scores.size(0);
  std::vector<int64_t> counts(n_rows, safe);
  int64_t left = total - n_rows * safe;
  if (left <= 0) return counts;
  at::Tensor rest = scores;
  if (safe > 0) {
    const at::Tensor taken = std::get<1>(scores.topk(safe, 1, /*largest=*/true, /*sorted=*/false));
    rest = scores.scatter(1, taken, -std::numeric_limits<double>::infinity());
  }
  const at::Tensor threshold =
      std::get<0>(rest.flatten().kthvalue(rest.numel() - left + 1));  // the `left`-th highest
  const at::Tensor above = (rest > threshold).sum(1).cpu(),
                   equal = (rest == threshold).sum(1).cpu();
  const auto* n_above = above.const_data_ptr<int64_t>();
  const auto* n_equal = equal.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < n_rows; ++i) {
    counts[i] += n_above[i];
    left -= n_above[i];
  }
  for (int64_t i = 0; i < n_rows && left > 0; ++i) {
    const int64_t tied = std::min(left, n_equal[i]);
    counts[i] += tied;
    left -= tied;
  }
  return counts;
}

}  // namespace kvbench
