#include "harness/profile/learn.h"

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {

AveragedCurves average(const ProfileData& data, const ScorerProfile& scorer) {
  const std::vector<int64_t> dims = {lukv::kRatios, data.n_layers, data.n_kv_heads};
  const auto size = static_cast<size_t>(lukv::kRatios * data.n_layers * data.n_kv_heads);
  const auto n_curves = static_cast<double>(scorer.curves.size());
  KVB_CHECK(n_curves > 0, "an average of no curves");
  std::vector<double> mean(size, 0), spread(size, 0);
  for (const auto& curve : scorer.curves) {
    for (size_t i = 0; i < size; ++i) mean[i] += curve.prune_ratios[i] / n_curves;
  }
  for (const auto& curve : scorer.curves) {
    for (size_t i = 0; i < size; ++i) {
      spread[i] += std::pow(curve.prune_ratios[i] - mean[i], 2) / std::max(1.0, n_curves - 1);
    }
  }
  for (double& value : spread) value = std::sqrt(value);
  return {{dims, std::move(mean)}, {dims, std::move(spread)}};
}

LearntCurves learn_curves(const ProfileData& data, const ScorerProfile& scorer) {
  const int64_t n_heads = data.n_layers * data.n_kv_heads;
  std::vector<double> shares;  // what turns an entry's losses into shares of all its importance
  double n_entries = 0;
  for (const ScorerCurve& curve : scorer.curves) {
    double total = 0;
    for (const auto& head : curve.hull) {
      for (const auto& segment : head) total += segment.slope * segment.tokens;
    }
    shares.push_back(total > 0 ? 1 / total : 0);
    n_entries += total > 0 ? 1 : 0;
  }
  LearntCurves learnt;
  for (int64_t h = 0; h < n_heads; ++h) {
    std::vector<double> mean(lukv::kParts, 0);
    std::vector<lukv::RankGroups> groups;
    std::vector<double> weights;  // importance of a token in units of the mean over all heads
    for (size_t e = 0; e < scorer.curves.size(); ++e) {
      const ScorerCurve& curve = scorer.curves[e];
      const auto parts = lukv::part_losses(curve.hull[h]);
      for (size_t i = 0; i < parts.size(); ++i) {
        mean[i] += parts[i] * shares[e] / std::max(1.0, n_entries);
      }
      groups.push_back(curve.groups[h]);
      const auto n_free = data.entries[e].n_tokens - scorer.sink - scorer.window;
      weights.push_back(shares[e] * static_cast<double>(n_heads * n_free));
    }
    // Rounding must not undo the order of the parts.
    for (size_t i = 1; i < mean.size(); ++i) mean[i] = std::max(mean[i], mean[i - 1]);
    learnt.mean_curve.insert(learnt.mean_curve.end(), mean.begin(), mean.end());
    const lukv::Calibration calibration = lukv::calibrate(groups, weights);
    learnt.calibration_scores.insert(learnt.calibration_scores.end(), calibration.scores.begin(),
                                     calibration.scores.end());
    learnt.calibration_importance.insert(learnt.calibration_importance.end(),
                                         calibration.importance.begin(),
                                         calibration.importance.end());
  }
  return learnt;
}

}  // namespace kvbench
