// Whole tokens out of real budgets, with a given sum.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace kvbench {

// Largest remainder: the floors of `ideal`; what is left of `total` goes one each to the largest
// fractional parts, ties to the lower index. `total` is meant to be the sum of `ideal` rounded: at
// most one token per entry can be given.
inline std::vector<int64_t> apportion(const std::vector<double>& ideal, int64_t total) {
  std::vector<int64_t> counts;
  for (const double x : ideal) counts.push_back(static_cast<int64_t>(std::floor(x)));
  std::vector<size_t> order(ideal.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return ideal[a] - std::floor(ideal[a]) > ideal[b] - std::floor(ideal[b]);
  });
  int64_t left = total - std::accumulate(counts.begin(), counts.end(), int64_t{0});
  for (const size_t i : order) {
    if (left-- <= 0) break;
    ++counts[i];
  }
  return counts;
}

// Raises every count to at least `floor`, one token at a time from the largest count (ties: lower
// index). The sum stays; where it is too small for that, all counts end within one of each other.
inline void raise_to_floor(std::vector<int64_t>& counts, int64_t floor) {
  for (;;) {
    const auto [low, high] = std::minmax_element(counts.begin(), counts.end());
    // minmax_element finds the last of equal maxima.
    const auto first_high = std::find(counts.begin(), counts.end(), *high);
    if (*low >= floor || *first_high - *low <= 1) return;
    ++*low;
    --*first_high;
  }
}

}  // namespace kvbench
