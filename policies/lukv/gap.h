// How far budgets are from what could be had, and which step loses it. policies.md 4.7.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench::lukv {

// Losses of one context when `discarded` tokens go, sums of importance over the discarded tokens
// that are not protected. NaN where not computed.
struct Gap {
  int64_t discarded = 0;         // X, tokens of all heads
  double total = 0;              // importance of all tokens that are not protected
  double hull_objective = 0;     // J0 <= J5: what the greedy believes to lose
  double oracle_optimal = 0;     // J1: ranked by the importance itself, best budgets
  double oracle_uniform = 0;     // J2
  double heuristic_uniform = 0;  // J3
  double heuristic_greedy = 0;   // J4: the scorer's ranking, budgets of the convexified curves
  double heuristic_exact = 0;    // J5: the scorer's ranking, best budgets
  double heuristic_profile = 0;  // J6: the scorer's ranking, budgets of a profile

  // J6 - J1 = transfer + convexification + ranking.
  double transfer() const { return heuristic_profile - heuristic_greedy; }
  double convexification() const { return heuristic_greedy - heuristic_exact; }
  double ranking() const { return heuristic_exact - oracle_optimal; }
  double allocation_gain() const { return heuristic_uniform - heuristic_exact; }
  double ranking_gain() const { return heuristic_uniform - oracle_uniform; }
};

// Uniform with X tokens: floor(X / n_heads) each, the first X mod n_heads heads one more, each at
// most max_discards.
std::vector<int32_t> uniform_discards(int64_t total, int64_t n_heads, int64_t max_discards);

// J0 to J5 at each of the ascending totals; J6 stays NaN. marginals: [n_heads][E] in the scorer's
// discard order (loss_curve.h). J5 costs n_heads * E * (largest total) operations: NaN unless
// `exact`.
std::vector<Gap> gaps(std::span<const std::vector<float>> marginals, int64_t max_discards,
                      std::span<const int64_t> totals, bool exact);

// The loss when each head keeps keep_counts[head] of n_tokens: protected tokens are the last to go.
double loss_of_keep_counts(std::span<const std::vector<float>> marginals,
                           std::span<const int64_t> keep_counts, int64_t n_tokens);

}  // namespace kvbench::lukv
