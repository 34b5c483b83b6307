// Curves as functions of the discarded share, and the budgets solved from them.
#include "policies/lukv/mean_curve.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "harness/base/random.h"

namespace kvbench::lukv {
namespace {

using Counts = std::vector<int64_t>;

int64_t sum(const Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

// As many marginals as tokens, ascending: their own minorant.
std::vector<Segment> convex_curve(Random& random, int64_t n_tokens) {
  std::vector<float> marginals;
  for (int64_t i = 0; i < n_tokens; ++i) {
    marginals.push_back(static_cast<float>(std::exp(6 * random.unit())));
  }
  std::sort(marginals.begin(), marginals.end());
  return convex_minorant(marginals);
}

std::vector<float> curves_of(const std::vector<std::vector<Segment>>& heads) {
  std::vector<float> losses;
  for (const auto& head : heads) {
    const auto parts = part_losses(head);
    losses.insert(losses.end(), parts.begin(), parts.end());
  }
  return losses;
}

TEST(LuKvPartLosses, DividesTokensBetweenParts) {
  // 384 tokens: a part holds one and a half.
  const auto parts = part_losses(std::vector<Segment>{{2, 3}, {4, 381}});
  ASSERT_EQ(std::ssize(parts), kParts);
  EXPECT_DOUBLE_EQ(parts[0], 3);
  EXPECT_DOUBLE_EQ(parts[1], 3);
  EXPECT_DOUBLE_EQ(parts[2], 6);
  EXPECT_NEAR(std::accumulate(parts.begin(), parts.end(), 0.0), 6 + 4 * 381, 1e-9);
}

TEST(LuKvPartLosses, KeepTheSumForAnyLength) {
  Random random(2);
  for (const int64_t n : {1, 7, 255, 256, 1000}) {
    const auto curve = convex_curve(random, n);
    const auto parts = part_losses(curve);
    EXPECT_NEAR(std::accumulate(parts.begin(), parts.end(), 0.0), loss_at(curve, n),
                1e-6 * n * 400);
    EXPECT_TRUE(std::is_sorted(parts.begin(), parts.end(),
                               [](double a, double b) { return a < b - 1e-9 * std::abs(b); }));
  }
}

TEST(LuKvMeanCurves, SolvesWhatTheTokenGreedySolves) {
  // A part is a token here, so that both have the same pieces.
  Random random(3);
  constexpr int64_t kHeads = 5;
  std::vector<std::vector<Segment>> heads;
  for (int64_t h = 0; h < kHeads; ++h) heads.push_back(convex_curve(random, kParts));
  const MeanCurves curves(curves_of(heads));
  for (const double ratio : {0.1, 0.37, 0.5, 0.8, 0.95}) {
    const DiscardPlan plan(ratio, kHeads, kParts, 0, 0);
    const auto expected =
        discard_counts(heads, plan.max_discards, std::vector<int64_t>{plan.total});
    EXPECT_EQ(curves.discards(plan), Counts(expected.begin(), expected.end())) << ratio;
  }
}

TEST(LuKvMeanCurves, TotalIsExactAndNoHeadFallsBelowItsFloor) {
  Random random(4);
  constexpr int64_t kHeads = 6;
  std::vector<std::vector<Segment>> heads;
  for (int64_t h = 0; h < kHeads; ++h) heads.push_back(convex_curve(random, 300));
  const MeanCurves curves(curves_of(heads));
  for (int n = 0; n < 300; ++n) {
    const int64_t n_tokens = random.between(1, 900);
    const double ratio = 0.001 + 0.998 * random.unit();
    const DiscardPlan plan(ratio, kHeads, n_tokens, 4, 32);
    const Counts discards = curves.discards(plan);
    const auto all = static_cast<double>(kHeads * n_tokens);
    // Every head keeps a token, whatever the ratio.
    ASSERT_EQ(sum(discards), std::min<int64_t>(std::llrint(ratio * all), kHeads * (n_tokens - 1)))
        << n_tokens << " " << ratio;
    const int64_t even = (kHeads * n_tokens - sum(discards)) / kHeads;
    for (const auto gone : discards) {
      ASSERT_GE(gone, 0);
      ASSERT_GE(n_tokens - gone, std::max<int64_t>(1, std::min<int64_t>(even, 36)))
          << n_tokens << " " << ratio;
    }
  }
}

TEST(LuKvMeanCurves, ContextsOfProtectedTokensAloneAreSharedEvenly) {
  Random random(5);
  const MeanCurves curves(curves_of({convex_curve(random, 9), convex_curve(random, 9)}));
  EXPECT_EQ(curves.discards(DiscardPlan(0.5, 2, 5, 4, 32)), (Counts{3, 2}));
}

}  // namespace
}  // namespace kvbench::lukv
