// What a score is worth: per head, the importance that tokens of that score turned out to have. It
// makes scores of all heads and layers comparable, so that they can compete for one budget in the
// prompt at hand (allocator lukv_online).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

inline constexpr int64_t kKnots = 64;

// (s - min) / (mean - min) of a head's unprotected scores: free of the scale, which for attention
// goes with the length. All 1 where all scores are the same.
std::vector<float> relative_scores(std::span<const float> scores);

// One context's tokens of one head in kKnots groups of neighbouring ranks, lowest first: group
// boundaries lie at n (1 - (i / kKnots)^2) from the bottom, so the few high ranks that decide
// are told apart. Groups may be empty.
struct RankGroups {
  std::vector<float> scores;   // [kKnots] mean relative score
  std::vector<float> losses;   // [kKnots] sum of importance
  std::vector<int32_t> sizes;  // [kKnots] tokens
};
// ranked_scores: ascending; marginals: the importance in that order (loss_curve.h).
RankGroups rank_groups(std::span<const float> ranked_scores, std::span<const float> marginals);
// How many of n tokens each group has, [kKnots].
std::vector<int32_t> rank_group_sizes(int64_t n);

// A nondecreasing function of the relative score, linear between knots and constant outside.
struct Calibration {
  std::vector<float> scores;      // [kKnots] nondecreasing
  std::vector<float> importance;  // [kKnots] nondecreasing, at least 0
};
// Isotonic regression of the mean importance of a token on its relative score, over the groups of
// all contexts together, again at kKnots ranks. weights[i] scales the importance of groups[i].
Calibration calibrate(std::span<const RankGroups> groups, std::span<const double> weights);

// Predicted importance of ascending relative scores, nondecreasing. scores, importance: [kKnots],
// as in a Calibration.
std::vector<float> predicted_importance(std::span<const float> scores,
                                        std::span<const float> importance,
                                        std::span<const float> ascending);

}  // namespace kvbench::lukv
