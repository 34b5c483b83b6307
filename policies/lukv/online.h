// What the tokens of a prompt are worth by what a profile knows of their head. The step between a
// profile and budgets that follow the prompt (allocator lukv_online).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policies/lukv/convex_minorant.h"

namespace kvbench::lukv {

struct HeadProfile {
  std::span<const float> mean_curve;                                  // [kParts], mean_curve.h
  std::span<const float> calibration_scores, calibration_importance;  // [kKnots], calibration.h
};

// The loss curve that is expected of a head's unprotected tokens, given their ascending scores:
// each token loses (1 - trust) times what its rank lost on average, plus trust times what such
// scores were worth; both in units of the mean over all n_heads heads.
std::vector<Segment> online_curve(const HeadProfile& head, std::span<const float> ascending,
                                  double trust, int64_t n_heads);

}  // namespace kvbench::lukv
