#include "harness/report/paired.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/base/error.h"
#include "harness/base/random.h"

namespace kvbench {
namespace {

SampleRow row(const std::string& policy, double ratio, const std::string& task, int64_t sample,
              double score) {
  SampleRow row;
  row.policy = policy;
  row.ratio = ratio;
  row.task = task;
  row.max_length = 1024;
  row.compress = "context";
  row.sample_id = sample;
  row.score = score;
  return row;
}

using Line = std::vector<std::string>;

TEST(StratifiedMean, IsTheMeanOfTheGroups) {
  const Interval even = stratified_mean({{0, 0}, {3, 3, 3, 3}});
  EXPECT_DOUBLE_EQ(even.mean, 1.5);
  EXPECT_DOUBLE_EQ(even.low, 1.5);
  EXPECT_DOUBLE_EQ(even.high, 1.5);
  EXPECT_TRUE(std::isnan(stratified_mean({{1}, {2, 3}}).low));
}

// Two groups of normal-like values: the interval is near the textbook's.
TEST(StratifiedMean, IntervalIsNearTheNormalOne) {
  Random random(9);
  std::vector<std::vector<double>> groups(2);
  double variance = 0;
  for (auto& group : groups) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 200; ++i) {
      double value = 0;
      for (int j = 0; j < 12; ++j) value += random.unit();
      group.push_back(value);
      sum += value;
      squares += value * value;
    }
    variance += (squares / 200 - sum / 200 * sum / 200) / 200 / 4;
  }
  const Interval interval = stratified_mean(groups);
  EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * std::sqrt(variance),
              0.1 * (interval.high - interval.low));
}

TEST(PairedTables, CompareTheSamplesThatBothAnswered) {
  const std::vector<SampleRow> rows = {row("full", 0, "a", 0, 100), row("full", 0, "a", 1, 100),
                                       row("u", 0.5, "a", 0, 0),    row("u", 0.5, "a", 1, 50),
                                       row("x", 0.5, "a", 0, 100),  row("x", 0.5, "a", 1, 100),
                                       row("x", 0.5, "a", 2, 0),  // not answered by u
                                       row("u", 0.8, "a", 0, 100),  row("u", 0.8, "a", 1, 100),
                                       row("x", 0.8, "a", 0, 0),    row("x", 0.8, "a", 1, 100)};
  const auto grids = paired_tables(rows, "u");
  ASSERT_EQ(grids.size(), 1U);  // one task: nothing to average
  EXPECT_EQ(grids[0].title, "a, length 1024, compress context, paired with u");
  ASSERT_EQ(grids[0].rows.size(), 2U);  // full has no u at ratio 0
  EXPECT_EQ(grids[0].rows[0],
            (Line{"x", "0.5", "2", "100.0", "+75.0", "+50.0", "+100.0", "2", "0", "above"}));
  EXPECT_EQ(grids[0].rows[1],
            (Line{"x", "0.8", "2", "50.0", "-50.0", "-100.0", "+0.0", "0", "1", "cannot tell"}));
}

TEST(PairedTables, TheFullCacheIsComparedAtEveryRatio) {
  const std::vector<SampleRow> rows = {row("full", 0, "a", 0, 100), row("full", 0, "a", 1, 90),
                                       row("x", 0.5, "a", 0, 80), row("x", 0.5, "a", 1, 70)};
  const auto grids = paired_tables(rows, "full");
  ASSERT_EQ(grids[0].rows.size(), 1U);
  EXPECT_EQ(grids[0].rows[0],
            (Line{"x", "0.5", "2", "75.0", "-20.0", "-20.0", "-20.0", "0", "2", "below"}));
}

TEST(PairedTables, AverageTasksAndLeaveOutWhatIsNotEverywhere) {
  std::vector<SampleRow> rows;
  for (int64_t i = 0; i < 3; ++i) {
    rows.push_back(row("u", 0.5, "a", i, 0));
    rows.push_back(row("u", 0.5, "b", i, 50));
    rows.push_back(row("x", 0.5, "a", i, 100));
    rows.push_back(row("x", 0.5, "b", i, 50));
    rows.push_back(row("y", 0.5, "b", i, 50));
  }
  rows.push_back(row("x", 0.5, "b", 0, 50));  // a second question about one context
  SampleRow failed = row("x", 0.5, "a", 0, NAN);
  failed.error = "no";
  rows.push_back(failed);
  const auto grids = paired_tables(rows, "u");
  ASSERT_EQ(grids.size(), 3U);
  ASSERT_EQ(grids[0].rows.size(), 1U);
  EXPECT_EQ(grids[0].rows[0],
            (Line{"x", "0.5", "6", "75.0", "+50.0", "+50.0", "+50.0", "3", "0", "above"}));
  EXPECT_EQ(grids[1].rows.size(), 1U);
  EXPECT_EQ(grids[2].rows.size(), 2U);
}

TEST(PairedTables, RefuseAnUnknownPolicy) {
  try {
    paired_tables({row("snapkv", 0.5, "a", 0, 1)}, "snapkw");
    FAIL();
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean snapkv?"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace kvbench
