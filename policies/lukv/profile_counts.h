// A profile's prune ratios as whole tokens, at run time. policies.md 4.6.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

// The row of a profile for a ratio: clamp(round(100 ratio) - 1, 0, 98), half to even.
int64_t profile_row(double ratio);

// Keep counts of one layer, [H], from its prune ratios [H] (each from 0 to 1) for a context of
// n_tokens. ideal_h = (1 - p_h) T; the layer's total is their sum rounded half to even, in
// [H, H T]; floors, then one more for the largest fractional parts (ties: lower head); each count
// in [1, T].
std::vector<int64_t> profile_counts(std::span<const float> prune, int64_t n_tokens);

}  // namespace kvbench::lukv
