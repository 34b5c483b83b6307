#include "harness/results/stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace kvbench {
namespace {

TEST(Stats, NothingAndOneCannotTell) {
  EXPECT_TRUE(std::isnan(clustered_mean({}, {}).mean));
  const std::vector<double> one = {40.0};
  const Interval interval = clustered_mean(one, std::vector<std::string>{"a"});
  EXPECT_EQ(interval.mean, 40.0);
  EXPECT_TRUE(std::isnan(interval.low));
  EXPECT_TRUE(std::isnan(interval.high));
}

TEST(Stats, EqualScoresHaveNoSpread) {
  const std::vector<double> scores(5, 80.0);
  const Interval interval =
      clustered_mean(scores, std::vector<std::string>{"a", "b", "c", "d", "e"});
  EXPECT_EQ(interval.low, 80.0);
  EXPECT_EQ(interval.high, 80.0);
}

// Two contexts of 0 and 100: a resample has the mean 0, 50 or 100 with chances 1/4, 1/2, 1/4.
TEST(Stats, TwoContextsSpanEverything) {
  const std::vector<double> scores = {0.0, 100.0};
  const Interval interval = clustered_mean(scores, std::vector<std::string>{"a", "b"});
  EXPECT_EQ(interval.mean, 50.0);
  EXPECT_EQ(interval.low, 0.0);
  EXPECT_EQ(interval.high, 100.0);
}

// 100 contexts, half right: the mean's standard error is 5, so about 50 -+ 9.8; means are whole
// numbers here, and 2000 resamples place a percentile within one or two of them.
TEST(Stats, IntervalHasTheTextbookWidth) {
  std::vector<double> scores;
  std::vector<std::string> contexts;
  for (int64_t i = 0; i < 100; ++i) {
    scores.push_back(i % 2 == 0 ? 100.0 : 0.0);
    contexts.push_back(std::to_string(i));
  }
  const Interval interval = clustered_mean(scores, contexts);
  EXPECT_NEAR(interval.low, 40.2, 2.0);
  EXPECT_NEAR(interval.high, 59.8, 2.0);
}

// The same scores, but ten about each context, all alike: ten independent pieces, not a hundred.
TEST(Stats, AnswersAboutOneContextCountAsOne) {
  std::vector<double> scores;
  std::vector<std::string> contexts;
  for (int64_t i = 0; i < 100; ++i) {
    scores.push_back(i / 10 % 2 == 0 ? 100.0 : 0.0);
    contexts.push_back(std::to_string(i / 10));
  }
  const Interval interval = clustered_mean(scores, contexts);
  EXPECT_EQ(interval.mean, 50.0);
  EXPECT_NEAR(interval.low, 20.0, 10.0);
  EXPECT_NEAR(interval.high, 80.0, 10.0);
}

TEST(Stats, OrderDoesNotMatter) {
  std::vector<double> scores = {0.1, 12.3, 99.7, 45.6, 0.7, 33.3};
  std::vector<std::string> contexts = {"a", "a", "b", "c", "c", "d"};
  const Interval a = clustered_mean(scores, contexts);
  std::reverse(scores.begin(), scores.end());
  std::reverse(contexts.begin(), contexts.end());
  const Interval b = clustered_mean(scores, contexts);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
}

TEST(Stats, MedianLeavesOutNan) {
  EXPECT_EQ(median({5.0, NAN, 1.0, 2.0}), 2.0);
  EXPECT_EQ(median({4.0, 1.0}), 2.5);
  EXPECT_TRUE(std::isnan(median({NAN})));
}

TEST(Stats, FailedSamplesAreCountedNotAveraged) {
  CellRow cell;
  cell.cell_id = "c";
  cell.policy = "snapkv";
  std::vector<SampleRow> rows(4);
  for (int64_t i = 0; i < 4; ++i) {
    SampleRow& row = rows[static_cast<size_t>(i)];
    row.cell_id = i < 3 ? "c" : "other";
    row.sample_id = i;
    row.score = 20.0 * static_cast<double>(i);
    row.kept_ratio = 0.5;
    row.kv_bytes_full = 100 + i;
    row.decode_ms = static_cast<double>(i);
  }
  rows[2].error = "out of memory";
  rows[2].score = NAN;
  const CellRow derived = derive_cells({cell}, rows).at(0);
  EXPECT_EQ(derived.policy, "snapkv");
  EXPECT_EQ(derived.n, 2);
  EXPECT_EQ(derived.n_errors, 1);
  EXPECT_EQ(derived.mean, 10.0);
  EXPECT_EQ(derived.kv_bytes_full, 100.5);
  EXPECT_EQ(derived.decode_ms, 0.5);
  EXPECT_TRUE(std::isnan(derived.prefill_ms));
}

}  // namespace
}  // namespace kvbench
