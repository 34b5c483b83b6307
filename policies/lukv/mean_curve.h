// Loss curves kept as functions of the share that a head gives up, so that budgets can be solved
// for any total and length. Beside the published table (policies.md 4.5), which averages each
// context's best budgets: a mean of convex curves is convex, so the greedy on it is optimal for the
// mean loss over the contexts, while an average of optima is optimal for none.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "policies/lukv/allocation.h"
#include "policies/lukv/convex_minorant.h"

namespace kvbench::lukv {

inline constexpr int64_t kParts = 256;  // of a head's unprotected tokens, in discard order

// Loss of each of kParts equal parts of a convexified curve's tokens, nondecreasing; a token that
// two parts share is divided between them.
std::vector<double> part_losses(std::span<const Segment> curve);

// Mean curves of all heads of a model, ready to be solved.
class MeanCurves {
 public:
  MeanCurves() = default;
  // losses: [n_heads, kParts], each head's at least 0 and nondecreasing.
  explicit MeanCurves(std::vector<float> losses);

  bool empty() const { return losses_.empty(); }

  // Discarded tokens [n_heads] that minimise the sum of the curves, summing to plan.total exactly.
  // All parts are taken in the order of (loss, head, part); fractions of tokens at the end go to
  // the largest ones (ties: lower head).
  std::vector<int64_t> discards(const DiscardPlan& plan) const;

 private:
  std::vector<float> losses_;
  std::vector<uint32_t> order_;  // of the parts
};

}  // namespace kvbench::lukv
