#include "policies/lukv/gap.h"

#include <algorithm>
#include <limits>

#include "policies/lukv/allocation.h"
#include "policies/lukv/exact_allocation.h"
#include "policies/lukv/loss_curve.h"

namespace kvbench::lukv {
namespace {

// F_h of every head.
using LossCurves = std::vector<std::vector<double>>;

double loss_of(const LossCurves& losses, std::span<const int32_t> discards) {
  double loss = 0;
  for (size_t head = 0; head < losses.size(); ++head) loss += losses[head][discards[head]];
  return loss;
}

LossCurves loss_curves(std::span<const std::vector<float>> marginals) {
  LossCurves losses;
  for (const auto& head : marginals) losses.push_back(loss_curve(head));
  return losses;
}

Curves minorants(std::span<const std::vector<float>> marginals) {
  Curves curves;
  for (const auto& head : marginals) curves.push_back(convex_minorant(head));
  return curves;
}

}  // namespace

std::vector<int32_t> uniform_discards(int64_t total, int64_t n_heads, int64_t max_discards) {
  std::vector<int32_t> discards;
  for (int64_t head = 0; head < n_heads; ++head) {
    const int64_t even = total / n_heads + (head < total % n_heads ? 1 : 0);
    discards.push_back(static_cast<int32_t>(std::min(even, max_discards)));
  }
  return discards;
}

std::vector<Gap> gaps(std::span<const std::vector<float>> marginals, int64_t max_discards,
                      std::span<const int64_t> totals, bool exact) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto n_heads = static_cast<int64_t>(marginals.size());
  // Ranked by the importance itself, a curve is convex: the greedy's budgets are the best ones.
  std::vector<std::vector<float>> oracle(marginals.begin(), marginals.end());
  for (auto& head : oracle) std::sort(head.begin(), head.end());
  const LossCurves losses = loss_curves(marginals), oracle_losses = loss_curves(oracle);
  const Curves curves = minorants(marginals);
  const auto greedy = discard_counts(curves, max_discards, totals);
  const auto best = discard_counts(minorants(oracle), max_discards, totals);
  const auto exact_loss =
      exact ? exact_losses(losses, max_discards, totals.back()) : std::vector<double>();
  double total_importance = 0;
  for (const auto& head : losses) total_importance += head.back();

  std::vector<Gap> gaps;
  for (size_t i = 0; i < totals.size(); ++i) {
    const auto row = std::span(greedy).subspan(i * marginals.size(), marginals.size());
    const auto uniform = uniform_discards(totals[i], n_heads, max_discards);
    Gap& gap = gaps.emplace_back();
    gap.discarded = totals[i];
    gap.total = total_importance;
    for (size_t head = 0; head < curves.size(); ++head) {
      gap.hull_objective += loss_at(curves[head], row[head]);
    }
    gap.oracle_optimal =
        loss_of(oracle_losses, std::span(best).subspan(i * marginals.size(), marginals.size()));
    gap.oracle_uniform = loss_of(oracle_losses, uniform);
    gap.heuristic_uniform = loss_of(losses, uniform);
    gap.heuristic_greedy = loss_of(losses, row);
    gap.heuristic_exact = exact ? exact_loss[totals[i]] : kNone;
    gap.heuristic_profile = kNone;
  }
  return gaps;
}

double loss_of_keep_counts(std::span<const std::vector<float>> marginals,
                           std::span<const int64_t> keep_counts, int64_t n_tokens) {
  double loss = 0;
  for (size_t head = 0; head < marginals.size(); ++head) {
    const auto n_free = static_cast<int64_t>(marginals[head].size());
    const int64_t n_gone = std::clamp<int64_t>(n_tokens - keep_counts[head], 0, n_free);
    for (int64_t d = 0; d < n_gone; ++d) loss += marginals[head][d];
  }
  return loss;
}

}  // namespace kvbench::lukv
