#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/flattened_counts/flattened_counts.h"

namespace kvbench {

// What is not safe of each row competes: bare values are partitioned for the lowest one taken.
void flattened_counts_cpu(const FlattenedCounts& op) {
  const int64_t n = op.n_columns, n_free = n - op.safe;
  std::vector<float> free(op.n_rows * n_free);  // [n_rows, n_free]
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < op.n_rows; ++r) {
    std::vector<float> row(op.scores + r * n, op.scores + (r + 1) * n);
    for (float& score : row) {
      if (std::isnan(score)) score = -INFINITY;  // partitions want an order
    }
    const auto first_free = row.begin() + op.safe;
    if (op.safe > 0 && n_free > 0) {
      std::nth_element(row.begin(), first_free - 1, row.end(), std::greater<>());
    }
    std::copy(first_free, row.end(), free.begin() + r * n_free);
    op.counts[r] = static_cast<int32_t>(op.safe);
  }
  int64_t left = op.total - op.n_rows * op.safe;
  if (left <= 0) return;
  std::vector<float> ranked = free;
  std::nth_element(ranked.begin(), ranked.begin() + (left - 1), ranked.end(), std::greater<>());
  const float lowest = ranked[left - 1];
  std::vector<int64_t> n_equal(op.n_rows);
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const auto begin = free.begin() + r * n_free, end = begin + n_free;
    const int64_t n_above = std::count_if(begin, end, [=](float s) { return s > lowest; });
    n_equal[r] = std::count(begin, end, lowest);
    op.counts[r] += static_cast<int32_t>(n_above);
    left -= n_above;
  }
  for (int64_t r = 0; r < op.n_rows && left > 0; ++r) {
    const int64_t tied = std::min(left, n_equal[r]);
    op.counts[r] += static_cast<int32_t>(tied);
    left -= tied;
  }
}

}  // namespace kvbench
