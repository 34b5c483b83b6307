// What scores are worth: groups by rank, the isotonic fit, and its use.
#include "policies/lukv/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "harness/base/random.h"

namespace kvbench::lukv {
namespace {

using Values = std::vector<float>;

TEST(LuKvCalibration, RelativeScoresAreFreeOfScaleAndOffset) {
  const Values relative = relative_scores(Values{3, 1, 2, 2});
  EXPECT_EQ(relative, (Values{2, 0, 1, 1}));
  EXPECT_EQ(relative_scores(Values{31, 11, 21, 21}), relative);
  EXPECT_EQ(relative_scores(Values{5, 5}), (Values{1, 1}));
  EXPECT_TRUE(relative_scores(Values{}).empty());
}

TEST(LuKvCalibration, GroupsAreFineAtTheTop) {
  for (const int64_t n : {0, 1, 63, 1000, 4096}) {
    const auto sizes = rank_group_sizes(n);
    ASSERT_EQ(std::ssize(sizes), kKnots);
    EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), int64_t{0}), n);
    EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 0);
  }
  const auto sizes = rank_group_sizes(4096);
  EXPECT_EQ(sizes.back(), 1);     // 4096 (1/64)^2
  EXPECT_EQ(sizes.front(), 127);  // 4096 (1 - (63/64)^2)
}

TEST(LuKvCalibration, GroupsHoldMeansAndSums) {
  Values scores(4096), losses(4096, 2);
  std::iota(scores.begin(), scores.end(), 0.0F);
  const RankGroups groups = rank_groups(scores, losses);
  EXPECT_FLOAT_EQ(groups.losses.front(), 2 * 127);
  EXPECT_FLOAT_EQ(groups.scores.front(), 63 / 2047.5);
  EXPECT_FLOAT_EQ(groups.scores.back(), 4095 / 2047.5);
}

// Importance that is a function of the relative score is found again.
TEST(LuKvCalibration, FindsAMonotoneRelation) {
  Random random(6);
  std::vector<RankGroups> contexts;
  for (int c = 0; c < 8; ++c) {
    Values scores;
    for (int i = 0; i < 2000; ++i) scores.push_back(static_cast<float>(random.unit()));
    std::sort(scores.begin(), scores.end());
    Values losses;
    for (const float relative : relative_scores(scores)) losses.push_back(relative * relative);
    contexts.push_back(rank_groups(scores, losses));
  }
  const Calibration found = calibrate(contexts, std::vector<double>(contexts.size(), 1));
  ASSERT_EQ(std::ssize(found.scores), kKnots);
  EXPECT_TRUE(std::is_sorted(found.scores.begin(), found.scores.end()));
  EXPECT_TRUE(std::is_sorted(found.importance.begin(), found.importance.end()));
  const Values at = {0.25, 0.5, 1, 1.5, 1.9};
  const Values predicted = predicted_importance(found.scores, found.importance, at);
  for (size_t i = 0; i < at.size(); ++i) EXPECT_NEAR(predicted[i], at[i] * at[i], 0.02);
}

TEST(LuKvCalibration, ViolatorsArePooledAndWeightsScale) {
  // Importance falls with the score: the best nondecreasing fit is its mean.
  Values scores(1000), losses(1000);
  for (int i = 0; i < 1000; ++i) {
    scores[i] = static_cast<float>(i);
    losses[i] = static_cast<float>(999 - i);
  }
  const std::vector<RankGroups> one = {rank_groups(scores, losses)};
  const Calibration flat = calibrate(one, std::vector<double>{2});
  for (const float importance : flat.importance) EXPECT_NEAR(importance, 999, 1e-3);
}

TEST(LuKvCalibration, IsConstantOutsideTheKnots) {
  const Values knots = {1, 2, 2, 4}, values = {0, 1, 3, 5};
  EXPECT_EQ(predicted_importance(knots, values, Values{0, 1, 1.5, 2, 3, 4, 9}),
            (Values{0, 0, 0.5, 3, 4, 5, 5}));
}

}  // namespace
}  // namespace kvbench::lukv
