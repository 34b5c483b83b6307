#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/flattened_counts/flattened_counts.h"

namespace kvbench {

void flattened_counts_reference(const FlattenedCounts& op) {
  const int64_t n = op.n_columns;
  std::vector<int64_t> order(op.n_rows * n);  // of all scores; the safe ones of each row first
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto higher = [&](int64_t a, int64_t b) { return op.scores[a] > op.scores[b]; };
  std::vector<bool> is_safe(order.size(), false);
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const auto begin = order.begin() + r * n;
    std::stable_sort(begin, begin + n, higher);
    for (int64_t i = 0; i < op.safe; ++i) is_safe[begin[i]] = true;
  }
  std::sort(order.begin(), order.end());
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return is_safe[a] != is_safe[b] ? is_safe[a] : !is_safe[a] && higher(a, b);
  });
  std::fill(op.counts, op.counts + op.n_rows, 0);
  for (int64_t i = 0; i < op.total; ++i) ++op.counts[order[i] / n];
}

}  // namespace kvbench
