#include "harness/results/intervals.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "harness/base/random.h"

namespace kvbench {
namespace {

// n contexts a0, a1, ... with a value each.
Stratum one_each(const std::vector<double>& values, const std::string& name = "a") {
  Stratum stratum{values, {}};
  for (size_t i = 0; i < values.size(); ++i) stratum.contexts.push_back(name + std::to_string(i));
  return stratum;
}

Interval scores(const std::vector<Stratum>& strata) {
  return score_interval(estimate_mean(strata));
}

TEST(Intervals, NothingAndOneCannotTell) {
  EXPECT_TRUE(std::isnan(estimate_mean({}).mean));
  EXPECT_TRUE(std::isnan(estimate_mean({Stratum{}}).mean));
  for (const auto interval : {score_interval, difference_interval}) {
    const Interval one = interval(estimate_mean({one_each({40})}));
    EXPECT_EQ(one.mean, 40.0);
    EXPECT_TRUE(std::isnan(one.low));
    EXPECT_TRUE(std::isnan(one.high));
  }
  EXPECT_TRUE(std::isnan(scores({one_each({1, NAN, 3})}).low));
  EXPECT_TRUE(std::isnan(scores({one_each({1, 1e200, 3})}).low));
}

Interval differences(const std::vector<double>& values) {
  return difference_interval(estimate_mean({one_each(values)}));
}

// Expected limits in this file: scipy's brentq on the equations of the header, with Tango's
// constrained likelihood maximised numerically.
//
// 8 right in 10: 0.16 / variance = 9, two contexts that differ, so 1 / n = (4 / 9 + 1 / 10) /
// 5; t(27) = 2.0518.
TEST(Intervals, OfScoresIsWilsonsWithT) {
  const Interval interval = scores({one_each({100, 100, 100, 100, 0, 100, 100, 100, 100, 0})});
  EXPECT_EQ(interval.mean, 80.0);
  EXPECT_NEAR(interval.low, 46.24226, 1e-4);
  EXPECT_NEAR(interval.high, 94.89806, 1e-4);
}

TEST(Intervals, OfDifferencesIsTangosWithT) {
  const Interval interval = differences({100, 0, 0, -100, 100, 0, 50, 0});
  EXPECT_EQ(interval.mean, 18.75);
  EXPECT_NEAR(interval.low, -33.28692, 1e-3);
  EXPECT_NEAR(interval.high, 61.16606, 1e-3);
  const Interval clustered = difference_interval(
      estimate_mean({{{100, 100, 0, 50, -25, 0}, {"a", "a", "b", "b", "c", "d"}}}));
  EXPECT_NEAR(clustered.low, -42.83955, 1e-3);
  EXPECT_NEAR(clustered.high, 82.64136, 1e-3);
  const Interval wide = differences({-100, 100});
  EXPECT_NEAR(wide.low, -94.00353, 1e-3);
  EXPECT_NEAR(wide.high, 94.00353, 1e-3);
  // Turned round it is turned round.
  const Interval turned = differences({-100, 0, 0, 100, -100, 0, -50, 0});
  EXPECT_NEAR(turned.low, -interval.high, 1e-9);
  EXPECT_NEAR(turned.high, -interval.low, 1e-9);
}

// t(27)^2 / (10 + t(27)^2) = 0.29627 of the contexts may be unseen.
TEST(Intervals, EqualAnswersAreNoCertainty) {
  const std::vector<double> right(10, 100.0), half(10, 50.0), ties(10, 0.0);
  EXPECT_LE(scores({one_each(right)}).high, 100.0);
  EXPECT_DOUBLE_EQ(scores({one_each(right)}).high, 100.0);
  EXPECT_NEAR(scores({one_each(right)}).low, 70.37293, 1e-4);
  EXPECT_NEAR(scores({one_each(half)}).low, 22.78463, 1e-4);
  EXPECT_NEAR(scores({one_each(half)}).high, 77.21537, 1e-4);
  EXPECT_NEAR(differences(ties).low, -29.62707, 1e-4);
  EXPECT_NEAR(differences(ties).high, 29.62707, 1e-4);
  EXPECT_DOUBLE_EQ(differences(right).high, 100.0);
  // Three tasks of ten are thirty contexts, with 3 x 27 degrees of freedom.
  EXPECT_NEAR(scores({one_each(right, "a"), one_each(right, "b"), one_each(right, "c")}).low,
              88.34221, 1e-4);
}

TEST(Intervals, ContextsThatHardlyDifferAreNearlyEqual) {
  std::vector<double> nearly(20, 100.0);
  nearly[7] = 99;
  EXPECT_NEAR(scores({one_each(nearly)}).low, 90.71537, 1e-4);
}

// Context a with one answer of 0, b with three of 100: two contexts say nearly nothing, four
// answers would say more.
TEST(Intervals, AContextCountsWithAllItsAnswers) {
  const Estimate estimate = estimate_mean({{{0, 100, 100, 100}, {"a", "b", "b", "b"}}});
  EXPECT_EQ(estimate.mean, 75.0);
  // Residuals of the sums: 0 - 75 and 300 - 225; 2 / 1 * (75^2 + 75^2) / 4^2.
  EXPECT_DOUBLE_EQ(estimate.variance, 2 * 2 * 75.0 * 75.0 / 16);
  EXPECT_EQ(estimate.df, 1.0);
  EXPECT_DOUBLE_EQ(estimate.size, 1.6);  // weights 1/4 and 3/4
}

// Ten answers about each context, all alike: ten independent pieces, not a hundred.
TEST(Intervals, AnswersAboutOneContextCountAsOne) {
  Stratum many, few;
  for (int i = 0; i < 100; ++i) {
    many.values.push_back(i / 10 % 2 == 0 ? 100.0 : 0.0);
    many.contexts.push_back("a" + std::to_string(i / 10));
  }
  for (int i = 0; i < 10; ++i) few.values.push_back(i % 2 == 0 ? 100.0 : 0.0);
  const Interval a = scores({many}), b = scores({one_each(few.values)});
  EXPECT_DOUBLE_EQ(a.low, b.low);
  EXPECT_DOUBLE_EQ(a.high, b.high);
}

// Two tasks that ask about the same contexts, with the same answers: no more than one task says.
TEST(Intervals, AContextOfSeveralTasksIsOne) {
  const Stratum task = one_each({0, 100, 100, 0, 100});
  const Estimate one = estimate_mean({task}), same = estimate_mean({task, task});
  EXPECT_DOUBLE_EQ(same.variance, one.variance);
  EXPECT_DOUBLE_EQ(same.size, one.size);
  EXPECT_DOUBLE_EQ(same.df, one.df);
  const Estimate other = estimate_mean({task, one_each(task.values, "b")});
  EXPECT_DOUBLE_EQ(other.variance, one.variance / 2);
  EXPECT_DOUBLE_EQ(other.size, 10.0);
  EXPECT_DOUBLE_EQ(other.df, 8.0);
}

TEST(Intervals, StrataWeighTheSameWhateverTheirSize) {
  const Estimate estimate = estimate_mean({one_each({0, 2}), one_each({3, 3, 3, 3}, "b")});
  EXPECT_DOUBLE_EQ(estimate.mean, 2);
  EXPECT_DOUBLE_EQ(estimate.variance, 1.0 / 4);
  EXPECT_DOUBLE_EQ(estimate.df, 1);  // only the first one's variance is known to be there
  const Estimate single = estimate_mean({one_each({1}), {{2, 3}, {"a", "b"}}});
  EXPECT_DOUBLE_EQ(single.mean, 1.75);
  EXPECT_TRUE(std::isnan(single.variance));
}

TEST(Intervals, PartsOfTheContextsAddUpToTheMean) {
  const Stratum first = {{1, 2, 6}, {"a", "a", "b"}}, second = {{10, 20}, {"a", "c"}};
  const auto parts = context_parts({first, second});
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_DOUBLE_EQ(parts.at("a"), 3.0 / 6 + 10.0 / 4);
  EXPECT_DOUBLE_EQ(parts.at("b") + parts.at("a") + parts.at("c"),
                   estimate_mean({first, second}).mean);
}

TEST(Intervals, OrderDoesNotMatter) {
  Stratum stratum = {{0.1, 12.3, 99.7, 45.6, 0.7, 33.3}, {"a", "a", "b", "c", "c", "d"}};
  const Interval a = scores({stratum});
  std::reverse(stratum.values.begin(), stratum.values.end());
  std::reverse(stratum.contexts.begin(), stratum.contexts.end());
  const Interval b = scores({stratum});
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
}

// 20 contexts of three questions whose chances differ by context: of 2000 such runs the intervals
// of 95 % hold the truth in 93 to 97 %. harness/report/statistics_bench.cpp has the whole table.
TEST(Intervals, CoverTheTruth) {
  Random random(7);
  constexpr int kRuns = 2000;
  int n_scores = 0, n_differences = 0;
  for (int run = 0; run < kRuns; ++run) {
    Stratum mine, differences;
    for (int context = 0; context < 20; ++context) {
      const double shift = 0.4 * random.unit() - 0.2;
      for (int question = 0; question < 3; ++question) {
        const double luck = random.unit();  // shared by both policies in half of the questions
        const double a = luck < 0.7 + shift ? 100 : 0;
        const double b = (random.unit() < 0.5 ? luck : random.unit()) < 0.5 + shift ? 100 : 0;
        for (Stratum* stratum : {&mine, &differences}) {
          stratum->contexts.push_back(std::to_string(context));
        }
        mine.values.push_back(a);
        differences.values.push_back(a - b);
      }
    }
    const Interval score = scores({mine});
    const Interval difference = difference_interval(estimate_mean({differences}));
    n_scores += score.low <= 70 && 70 <= score.high ? 1 : 0;
    n_differences += difference.low <= 20 && 20 <= difference.high ? 1 : 0;
  }
  for (const int n : {n_scores, n_differences}) {
    EXPECT_GE(n, 0.93 * kRuns);
    EXPECT_LE(n, 0.97 * kRuns);
  }
}

}  // namespace
}  // namespace kvbench
