// The true optimum of an allocation, for small cases: what the convexified one is judged by.
// policies.md 4.4, "gap to the true problem".
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

// Smallest sum of F_h(d_h) over all d with sum d = x and 0 <= d_h <= max_discards, for every
// x = 0 ... max_total: a dynamic programme over heads, O(heads * max_discards * max_total) time.
// curves: F_h(0 ... E), any shape. x beyond what the heads may give up is infinity.
std::vector<double> exact_losses(std::span<const std::vector<double>> curves, int64_t max_discards,
                                 int64_t max_total);

}  // namespace kvbench::lukv
