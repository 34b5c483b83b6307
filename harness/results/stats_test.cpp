#include "harness/results/stats.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "harness/base/random.h"

namespace kvbench {
namespace {

TEST(Stats, NothingAndOneCannotTell) {
  EXPECT_TRUE(std::isnan(stratified_mean({}).mean));
  EXPECT_TRUE(std::isnan(stratified_mean({Stratum{}}).mean));
  const Interval interval = stratified_mean({{{40}, {"a"}}});
  EXPECT_EQ(interval.mean, 40.0);
  EXPECT_TRUE(std::isnan(interval.low));
  EXPECT_TRUE(std::isnan(interval.high));
}

TEST(Stats, EqualScoresHaveNoSpread) {
  const Interval interval = stratified_mean({{{80, 80, 80}, {"a", "b", "c"}}});
  EXPECT_EQ(interval.low, 80.0);
  EXPECT_EQ(interval.high, 80.0);
}

// Two contexts of 0 and 100: a resample has the mean 0, 50 or 100 with chances 1/4, 1/2, 1/4.
TEST(Stats, TwoContextsSpanEverything) {
  const Interval interval = stratified_mean({{{0, 100}, {"a", "b"}}});
  EXPECT_EQ(interval.mean, 50.0);
  EXPECT_EQ(interval.low, 0.0);
  EXPECT_EQ(interval.high, 100.0);
}

// Context a with one answer of 0, b with three of 100. The mean is 75; a resample is aa = 0 (chance
// 1/4), ab = 75 (1/2) or bb = 100 (1/4). By answers it would seldom fall below 25.
TEST(Stats, AContextIsDrawnWithAllItsAnswers) {
  const Interval interval = stratified_mean({{{0, 100, 100, 100}, {"a", "b", "b", "b"}}});
  EXPECT_EQ(interval.mean, 75.0);
  EXPECT_EQ(interval.low, 0.0);
  EXPECT_EQ(interval.high, 100.0);
}

// 100 contexts, half right: the mean's standard error is 5, so about 50 -+ 9.8; means are whole
// numbers here, and 2000 resamples place a percentile within one or two of them.
TEST(Stats, IntervalHasTheTextbookWidth) {
  Stratum scores;
  for (int i = 0; i < 100; ++i) {
    scores.values.push_back(i % 2 == 0 ? 100.0 : 0.0);
    scores.contexts.push_back(std::to_string(i));
  }
  const Interval interval = stratified_mean({scores});
  EXPECT_NEAR(interval.low, 40.2, 2.0);
  EXPECT_NEAR(interval.high, 59.8, 2.0);
}

// The same scores, but ten about each context, all alike: ten independent pieces, not a hundred.
TEST(Stats, AnswersAboutOneContextCountAsOne) {
  Stratum scores;
  for (int i = 0; i < 100; ++i) {
    scores.values.push_back(i / 10 % 2 == 0 ? 100.0 : 0.0);
    scores.contexts.push_back(std::to_string(i / 10));
  }
  const Interval interval = stratified_mean({scores});
  EXPECT_EQ(interval.mean, 50.0);
  EXPECT_NEAR(interval.low, 20.0, 10.0);
  EXPECT_NEAR(interval.high, 80.0, 10.0);
}

TEST(Stats, StrataWeighTheSameWhateverTheirSize) {
  const Interval interval =
      stratified_mean({{{0, 0}, {"a", "b"}}, {{3, 3, 3, 3}, {"a", "b", "c", "d"}}});
  EXPECT_DOUBLE_EQ(interval.mean, 1.5);
  EXPECT_DOUBLE_EQ(interval.low, 1.5);
  EXPECT_DOUBLE_EQ(interval.high, 1.5);
  const Interval single = stratified_mean({{{1}, {"a"}}, {{2, 3}, {"a", "b"}}});
  EXPECT_DOUBLE_EQ(single.mean, 1.75);
  EXPECT_TRUE(std::isnan(single.low));
}

// Two strata of normal-like values: the interval is near the textbook's.
TEST(Stats, StratifiedIntervalIsNearTheNormalOne) {
  Random random(9);
  std::vector<Stratum> strata(2);
  double variance = 0;
  for (Stratum& stratum : strata) {
    double sum = 0, squares = 0;
    for (int i = 0; i < 200; ++i) {
      double value = 0;
      for (int j = 0; j < 12; ++j) value += random.unit();
      stratum.values.push_back(value);
      stratum.contexts.push_back(std::to_string(i));
      sum += value;
      squares += value * value;
    }
    variance += (squares / 200 - sum / 200 * sum / 200) / 200 / 4;
  }
  const Interval interval = stratified_mean(strata);
  EXPECT_NEAR(interval.high - interval.low, 2 * 1.96 * std::sqrt(variance),
              0.1 * (interval.high - interval.low));
}

// Beside numpy, 10^6 resamples of whole contexts within each task:
//   def task(v, c):
//       s = np.array([[sum(x for x, k in zip(v, c) if k == u), c.count(u)] for u in
//       dict.fromkeys(c)]) t = s[np.random.default_rng(1).integers(len(s), size=(10**6,
//       len(s)))].sum(axis=1) return t[:, 0] / t[:, 1]
//   np.percentile((task(V1, C1) + task(V2, C2)) / 2, [2.5, 97.5])
TEST(Stats, AgreesWithNumpy) {
  const Stratum first = {{100, 100, 0, 50, 25, 0, 75, 100},
                         {"a", "a", "b", "b", "b", "c", "d", "e"}};
  const Stratum second = {{10, 20, 40, 80, 0, 60, 30}, {"a", "b", "b", "c", "d", "e", "f"}};
  const Interval interval = stratified_mean({first, second});
  EXPECT_DOUBLE_EQ(interval.mean, (56.25 + 240.0 / 7) / 2);
  EXPECT_NEAR(interval.low, 26.67, 1.0);
  EXPECT_NEAR(interval.high, 67.5, 1.0);
}

TEST(Stats, OrderDoesNotMatter) {
  Stratum scores = {{0.1, 12.3, 99.7, 45.6, 0.7, 33.3}, {"a", "a", "b", "c", "c", "d"}};
  const Interval a = stratified_mean({scores});
  std::reverse(scores.values.begin(), scores.values.end());
  std::reverse(scores.contexts.begin(), scores.contexts.end());
  const Interval b = stratified_mean({scores});
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
    row.context_id = "same";
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
  EXPECT_EQ(derived.n_contexts, 1);
  EXPECT_EQ(derived.mean, 10.0);
  EXPECT_TRUE(std::isnan(derived.ci_low));  // two answers about one context
  EXPECT_EQ(derived.kv_bytes_full, 100.5);
  EXPECT_EQ(derived.decode_ms, 0.5);
  EXPECT_TRUE(std::isnan(derived.prefill_ms));
}

}  // namespace
}  // namespace kvbench
