#include "policies/lukv/online.h"

#include "policies/lukv/calibration.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench::lukv {

std::vector<Segment> online_curve(const HeadProfile& head, std::span<const float> ascending,
                                  double trust, int64_t n_heads) {
  const auto by_score = predicted_importance(head.calibration_scores, head.calibration_importance,
                                             relative_scores(ascending));
  const auto n_tokens = std::ssize(ascending);
  const auto unit = static_cast<double>(kParts * n_heads);
  std::vector<Segment> curve;
  for (int64_t i = 0; i < n_tokens; ++i) {
    const double by_rank = unit * head.mean_curve[i * kParts / n_tokens];
    const auto worth = static_cast<float>((1 - trust) * by_rank + trust * by_score[i]);
    if (!curve.empty() && curve.back().slope == worth) {
      ++curve.back().tokens;
    } else {
      curve.push_back({worth, 1});
    }
  }
  return curve;
}

}  // namespace kvbench::lukv
