#include "policies/lukv/mean_curve.h"

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "policies/apportion.h"

namespace kvbench::lukv {

std::vector<double> part_losses(std::span<const Segment> curve) {
  int64_t n_tokens = 0;
  for (const Segment& segment : curve) n_tokens += segment.tokens;
  const double width = static_cast<double>(n_tokens) / static_cast<double>(kParts);
  std::vector<double> parts;
  auto segment = curve.begin();
  double left = curve.empty() ? 0 : segment->tokens;  // tokens of *segment
  for (int64_t i = 0; i < kParts; ++i) {
    double loss = 0, wanted = width;
    while (segment != curve.end() && left <= wanted) {
      loss += segment->slope * left;
      wanted -= left;
      if (++segment != curve.end()) left = segment->tokens;
    }
    if (segment != curve.end()) {
      loss += segment->slope * wanted;
      left -= wanted;
    }
    parts.push_back(loss);
  }
  return parts;
}

MeanCurves::MeanCurves(std::vector<float> losses) : losses_(std::move(losses)) {
  KVB_CHECK(losses_.size() % kParts == 0, "{} values are no curves", losses_.size());
  order_.resize(losses_.size());
  std::iota(order_.begin(), order_.end(), 0U);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](uint32_t a, uint32_t b) { return losses_[a] < losses_[b]; });
}

std::vector<int64_t> MeanCurves::discards(const DiscardPlan& plan) const {
  const auto width = static_cast<double>(plan.n_free) / static_cast<double>(kParts);
  const auto most = static_cast<double>(std::min(plan.n_free, plan.max_discards));
  std::vector<double> taken(losses_.size() / kParts, 0);
  auto left = static_cast<double>(plan.total);
  for (const uint32_t part : order_) {
    double& head = taken[part / kParts];
    const double step = std::min({width, most - head, left});
    if (step <= 0) continue;
    head += step;
    left -= step;
  }
  return complete(
      plan, apportion(taken, std::min(plan.total, static_cast<int64_t>(most) * std::ssize(taken))));
}

}  // namespace kvbench::lukv
