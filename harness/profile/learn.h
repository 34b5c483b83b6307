// What a profile learns from its measurements: the tables that allocators read.
#pragma once

#include <vector>

#include "harness/base/hdf5.h"
#include "harness/profile/profile_data.h"

namespace kvbench {

// Mean and standard deviation over a scorer's curves, [99, L, H]; there must be a curve.
struct AveragedCurves {
  h5::Array<double> table, spread;
};
AveragedCurves average(const ProfileData& data, const ScorerProfile& scorer);

// What the allocators lukv_curves and lukv_online read. An entry in which no token mattered counts
// for nothing.
struct LearntCurves {
  std::vector<float> mean_curve;                                  // [L, H, 256]
  std::vector<float> calibration_scores, calibration_importance;  // [L, H, 64]
};
LearntCurves learn_curves(const ProfileData& data, const ScorerProfile& scorer);

}  // namespace kvbench
