// The solver against the exact optimum and against what is true of every optimum.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/base/error.h"
#include "harness/base/random.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/exact_allocation.h"
#include "policies/lukv/gap.h"
#include "policies/lukv/loss_curve.h"
#include "policies/lukv/profile_counts.h"

namespace kvbench::lukv {
namespace {

using Marginals = std::vector<std::vector<float>>;
using Counts = std::vector<int32_t>;

// What a test needs of an instance: marginals, the curves F and their minorants.
struct Instance {
  explicit Instance(Marginals given) : marginals(std::move(given)) {
    for (const auto& head : marginals) {
      losses.push_back(loss_curve(head));
      curves.push_back(convex_minorant(head));
    }
  }

  size_t n_heads() const { return marginals.size(); }
  double loss(std::span<const int32_t> discards) const {
    double sum = 0;
    for (size_t h = 0; h < n_heads(); ++h) sum += losses[h].at(discards[h]);
    return sum;
  }
  double convex_loss(std::span<const int32_t> discards) const {
    double sum = 0;
    for (size_t h = 0; h < n_heads(); ++h) sum += loss_at(curves[h], discards[h]);
    return sum;
  }

  Marginals marginals;
  std::vector<std::vector<double>> losses;
  Curves curves;
};

// 1 to 6 heads of 0 to 12 tokens (the same for all). Whole numbers, half of the time: many ties.
Instance random_instance(Random& random) {
  const auto n_heads = random.between(1, 6), n_free = random.between(0, 12);
  const bool whole = random.below(2) == 0;
  Marginals marginals(n_heads);
  for (auto& head : marginals) {
    for (int64_t i = 0; i < n_free; ++i) {
      head.push_back(whole ? static_cast<float>(random.below(4))
                           : static_cast<float>(std::exp(4 * random.unit())));
    }
  }
  return Instance(std::move(marginals));
}

std::vector<int64_t> all_totals(int64_t most) {
  std::vector<int64_t> totals(static_cast<size_t>(most) + 1);
  std::iota(totals.begin(), totals.end(), 0);
  return totals;
}

TEST(LuKvSolver, GreedyIsWithinTheBoundOfTheExactOptimum) {
  constexpr double kRounding = 1e-5;  // of slopes to float32, on sums below 1e4
  Random random(1);
  for (int n = 0; n < 1000; ++n) {
    const Instance instance = random_instance(random);
    const auto n_free = static_cast<int64_t>(instance.marginals[0].size());
    const int64_t max_discards = random.between(0, n_free);
    const int64_t most = max_discards * static_cast<int64_t>(instance.n_heads());
    const auto best = exact_losses(instance.losses, max_discards, most);
    const auto rows = discard_counts(instance.curves, max_discards, all_totals(most));
    for (int64_t x = 0; x <= most; ++x) {
      const auto row = std::span(rows).subspan(x * instance.n_heads(), instance.n_heads());
      ASSERT_EQ(std::accumulate(row.begin(), row.end(), int64_t{0}), x);
      // Only heads stopped inside a segment can lose: one by the total, others by max_discards.
      double bound = kRounding * (1 + best[x]);
      for (size_t h = 0; h < instance.n_heads(); ++h) {
        bound += instance.losses[h][row[h]] - loss_at(instance.curves[h], row[h]);
      }
      EXPECT_LE(instance.convex_loss(row), best[x] + kRounding * (1 + best[x]));
      EXPECT_GE(instance.loss(row), best[x] - 1e-9);
      EXPECT_LE(instance.loss(row), best[x] + bound);
      int n_inside = 0;  // of a segment, and not at max_discards
      for (size_t h = 0; h < instance.n_heads(); ++h) {
        int64_t left = row[h];
        for (const auto& segment : instance.curves[h]) {
          if (left < segment.tokens) break;
          left -= segment.tokens;
        }
        n_inside += left > 0 && row[h] < max_discards ? 1 : 0;
      }
      EXPECT_LE(n_inside, 1);
    }
  }
}

TEST(LuKvSolver, RowsAreNestedAndNeverWorseThanUniformOnTheConvexCurves) {
  Random random(2);
  for (int n = 0; n < 1000; ++n) {
    const Instance instance = random_instance(random);
    const auto n_heads = static_cast<int64_t>(instance.n_heads());
    const auto n_free = static_cast<int64_t>(instance.marginals[0].size());
    const auto totals = all_totals(n_free * n_heads);
    const auto rows = discard_counts(instance.curves, n_free, totals);
    Counts before(n_heads, 0);
    for (const int64_t x : totals) {
      const auto row = std::span(rows).subspan(x * n_heads, n_heads);
      for (int64_t h = 0; h < n_heads; ++h) EXPECT_GE(row[h], before[h]);
      before.assign(row.begin(), row.end());
      EXPECT_LE(instance.convex_loss(row),
                instance.convex_loss(uniform_discards(x, n_heads, n_free)) + 1e-9);
    }
  }
}

// The minorant lies nowhere above F, meets it where segments end, and is convex.
TEST(LuKvSolver, MinorantIsTheLowerHull) {
  Random random(3);
  for (int n = 0; n < 1000; ++n) {
    const Instance instance = random_instance(random);
    for (size_t h = 0; h < instance.n_heads(); ++h) {
      const auto& losses = instance.losses[h];
      int64_t end = 0;
      float slope = -1;
      for (const Segment& segment : instance.curves[h]) {
        EXPECT_GT(segment.slope, slope);
        slope = segment.slope;
        end += segment.tokens;
        EXPECT_NEAR(loss_at(instance.curves[h], end), losses[end], 1e-6 * losses[end]);
      }
      EXPECT_EQ(end, static_cast<int64_t>(instance.marginals[h].size()));
      for (size_t d = 0; d < losses.size(); ++d) {
        EXPECT_LE(loss_at(instance.curves[h], static_cast<int64_t>(d)), losses[d] * (1 + 1e-6));
      }
    }
  }
}

TEST(LuKvSolver, MinorantWorkedByHand) {
  EXPECT_EQ(convex_minorant(std::vector<float>{4, 0, 2, 5, 3}),
            (std::vector<Segment>{{2, 3}, {4, 2}}));
  EXPECT_EQ(convex_minorant(std::vector<float>{0, 0, 0}), (std::vector<Segment>{{0, 3}}));
  EXPECT_EQ(convex_minorant(std::vector<float>{}), std::vector<Segment>{});
}

TEST(LuKvSolver, EqualSlopesGoToTheLowerHeadWhole) {
  const Curves curves = {{{1, 2}, {3, 1}}, {{0, 1}, {1, 2}}};
  EXPECT_EQ(discard_counts(curves, 3, all_totals(6)),
            (Counts{0, 0, 0, 1, 1, 1, 2, 1, 2, 2, 2, 3, 3, 3}));
  // A head at its limit leaves; a total beyond all limits takes what there is.
  EXPECT_EQ(discard_counts(curves, 2, std::vector<int64_t>{3, 4, 100}), (Counts{2, 1, 2, 2, 2, 2}));
}

TEST(LuKvSolver, EdgeCases) {
  EXPECT_EQ(discard_counts(Curves{{}}, 5, all_totals(2)), (Counts{0, 0, 0}));  // E = 0
  EXPECT_EQ(discard_counts(Curves{{{2, 3}}}, 3, std::vector<int64_t>{2}), (Counts{2}));
  // Nothing to lose anywhere: heads go one after the other.
  EXPECT_EQ(discard_counts(Curves{{{0, 2}}, {{0, 2}}}, 2, all_totals(3)),
            (Counts{0, 0, 1, 0, 2, 0, 2, 1}));
  EXPECT_EQ(exact_losses(std::vector<std::vector<double>>{{0}}, 5, 1),
            (std::vector<double>{0, INFINITY}));
}

TEST(LuKvSolver, BothZerosAreOneSlope) {
  const Curves curves = {{{1, 2}}, {{-0.0F, 2}}, {{0, 2}}};
  const std::vector<int64_t> totals = {2, 3};
  EXPECT_EQ(discard_counts(curves, 2, totals), (std::vector<int32_t>{0, 2, 0, 0, 2, 1}));
}

TEST(LuKvSolver, LossesAreInDiscardOrder) {
  // Positions 1 to 4 are free; equal scores: the later position goes first.
  const std::vector<float> scores = {9, 2, -1, 2, 0.5, 9}, importance = {7, 1, 2, 3, 4, 7};
  EXPECT_EQ(marginal_losses(scores, importance, 1, 1), (std::vector<float>{2, 4, 3, 1}));
  const std::vector<float> zeros = {0.0F, -0.0F, 0.0F};
  EXPECT_EQ(marginal_losses(zeros, std::vector<float>{1, 2, 3}, 0, 0),
            (std::vector<float>{3, 2, 1}));
  EXPECT_EQ(loss_curve(std::vector<float>{2, 4}), (std::vector<double>{0, 2, 6}));
}

TEST(LuKvSolver, RankingOfManyTokensIsASort) {
  Random random(4);
  std::vector<float> scores, importance;
  for (int i = 0; i < 5000; ++i) {
    scores.push_back(static_cast<float>(std::tan(3.1 * (random.unit() - 0.5))));
    importance.push_back(scores.back() + 1e9F);
  }
  const auto marginals = marginal_losses(scores, importance, 0, 0);
  EXPECT_TRUE(std::is_sorted(marginals.begin(), marginals.end()));
}

TEST(LuKvSolver, RefusesWhatItCannotRank) {
  const std::vector<float> three = {1, 2, 3}, nan = {1, NAN, 3}, negative = {1, -2, 3};
  EXPECT_THROW(marginal_losses(three, three, 2, 1), InputError);
  EXPECT_THROW(marginal_losses(nan, three, 0, 0), std::logic_error);
  EXPECT_THROW(marginal_losses(three, nan, 0, 0), std::logic_error);
  EXPECT_THROW(marginal_losses(three, negative, 0, 0), std::logic_error);
}

TEST(LuKvSolver, TableCountsProtectedTokensAndKeepsTheMinimum) {
  // T = 100, 10 protected: E = 90. One head loses nothing, the other always the same.
  const Curves curves = {{{1, 90}}, {{0, 90}}};
  const auto table =
      discard_table(curves, 1, 100, min_keep_tokens(0.01, 100, 4, 6), Scope::kGlobal);
  EXPECT_EQ(table[0], 0);
  EXPECT_EQ(table[1], 2);  // 1 % of 200
  EXPECT_EQ(table[2 * 49], 10);
  EXPECT_EQ(table[2 * 49 + 1], 90);
  for (int64_t i = 89; i < kRatios; ++i) {  // 90 % and above: saturated
    EXPECT_EQ(table[2 * i], 90);
    EXPECT_EQ(table[2 * i + 1], 90);
  }
  const auto by_layer = discard_table(curves, 1, 100, 10, Scope::kLayer);
  for (int64_t i = 0; i < kRatios; ++i) {
    EXPECT_EQ(by_layer[2 * i], std::min<int64_t>(i + 1, 90));
    EXPECT_EQ(by_layer[2 * i + 1], by_layer[2 * i]);
  }
  EXPECT_EQ(min_keep_tokens(0.01, 1000, 4, 1), 10);
  EXPECT_EQ(min_keep_tokens(0.01, 100, 4, 1), 5);
}

TEST(LuKvSolver, GapsAreOrdered) {
  Random random(5);
  for (int n = 0; n < 100; ++n) {
    const Instance instance = random_instance(random);
    const auto n_free = static_cast<int64_t>(instance.marginals[0].size());
    const auto totals = all_totals(n_free * static_cast<int64_t>(instance.n_heads()));
    for (const Gap& gap : gaps(instance.marginals, n_free, totals, /*exact=*/true)) {
      const double hair = 1e-5 * (1 + gap.total);
      EXPECT_LE(gap.oracle_optimal, gap.oracle_uniform + hair);
      EXPECT_LE(gap.oracle_optimal, gap.heuristic_exact + hair);
      EXPECT_LE(gap.hull_objective, gap.heuristic_exact + hair);
      EXPECT_LE(gap.heuristic_exact, gap.heuristic_greedy + hair);
      EXPECT_LE(gap.heuristic_exact, gap.heuristic_uniform + hair);
      EXPECT_TRUE(std::isnan(gap.heuristic_profile));
    }
  }
  EXPECT_TRUE(std::isnan(
      gaps(Marginals{{1, 2}}, 2, std::vector<int64_t>{1}, /*exact=*/false)[0].heuristic_exact));
}

TEST(LuKvSolver, LossOfKeepCounts) {
  // T = 5 with 2 protected tokens: one that keeps a single token loses all that are free.
  const Marginals marginals = {{1, 2, 4}, {8, 16, 32}};
  EXPECT_EQ(loss_of_keep_counts(marginals, std::vector<int64_t>{3, 1}, 5), 3 + 56);
  EXPECT_EQ(loss_of_keep_counts(marginals, std::vector<int64_t>{5, 5}, 5), 0);
}

TEST(LuKvSolver, RowsOfRatios) {
  EXPECT_EQ(profile_row(0.5), 49);
  EXPECT_EQ(profile_row(0.001), 0);
  EXPECT_EQ(profile_row(0.999), 98);
}

}  // namespace
}  // namespace kvbench::lukv
