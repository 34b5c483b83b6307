// Set scores by hand; harness/golden compares them with the official scorers' numbers.
#include "tasks/longbench/scores.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"

namespace kvbench::longbench {
namespace {

TEST(LongBenchScores, RoundedAsPythonRounds) {
  EXPECT_EQ(set_score({0.03125}), 3.12);  // 3.125, a tie to even
  EXPECT_EQ(set_score({0.09375}), 9.38);  // 9.375
  EXPECT_EQ(set_score({1, 1, 0}), 66.67);
  EXPECT_EQ(set_score({0.010049999999999999}), 1.0);  // 1.00499999999999989...
  EXPECT_THROW(set_score({}), InputError);
}

TEST(LongBenchScores, BucketsByLength) {
  const auto scores = bucket_scores({1, 0, 0.5, 1.0 / 3}, {3999, 0, 4000, 7999});
  EXPECT_EQ(scores[0], 50.0);
  EXPECT_EQ(scores[1], 41.67);
  EXPECT_EQ(scores[2], std::nullopt);
  EXPECT_EQ(bucket_of(8000), 2u);
}

// Near ties where numpy's sum and a plain one round apart; numbers are numpy's.
TEST(LongBenchScores, BucketsAreSummedAsNumpySums) {
  const auto score_of = [](size_t n, int step) {
    std::vector<double> shares;
    for (size_t i = 0; i < n; ++i) shares.push_back(static_cast<int>(i) * step % 80 / 80.0);
    return bucket_scores(shares, std::vector<int64_t>(n, 0))[0];
  };
  EXPECT_EQ(score_of(40, 7), 45.62);
  EXPECT_EQ(score_of(100, 7), 48.12);
  EXPECT_EQ(score_of(300, 9), 48.88);
}

TEST(LongBenchScores, AveragesNeedEverySet) {
  const auto sets = load_longbench_sets();
  std::map<std::string, double> scores;
  for (const auto& set : sets) scores[set.name] = set.category == "code" ? 60 : 30;
  const Averages all = averages(scores, sets);
  EXPECT_EQ(all.avg_16, (14 * 30 + 2 * 60) / 16.0);
  EXPECT_EQ(all.avg_categories, 35.0);
  EXPECT_EQ(all.avg_categories_zh, 35.0);
  scores.erase("dureader");
  EXPECT_EQ(averages(scores, sets).avg_categories_zh, std::nullopt);
  EXPECT_EQ(averages(scores, sets).avg_categories, 35.0);
  scores.erase("lcc");
  EXPECT_EQ(averages(scores, sets).avg_16, std::nullopt);
  EXPECT_EQ(averages(scores, sets).avg_categories, std::nullopt);
}

}  // namespace
}  // namespace kvbench::longbench
