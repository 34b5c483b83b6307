#include "harness/report/significance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/base/random.h"

namespace kvbench {
namespace {

// The observed signs and their mirror image are the farthest of 2^n.
TEST(SignFlip, OfFewContextsIsExact) {
  EXPECT_EQ(sign_flip_p({5}), 1.0);
  EXPECT_EQ(sign_flip_p({1, 2, 4}), 2.0 / 8);
  EXPECT_EQ(sign_flip_p({-1, 2, 4}), 4.0 / 8);  // sums 7, 5, -5, -7 are as far as 5
  EXPECT_EQ(sign_flip_p(std::vector<double>(10, 0.1)), 2.0 / 1024);
  EXPECT_EQ(sign_flip_p({0.1, 0.2, -0.3}), 1.0);  // 0 in any order of rounding
}

TEST(SignFlip, ContextsWithoutADifferenceSayNothing) {
  EXPECT_EQ(sign_flip_p({}), 1.0);
  EXPECT_EQ(sign_flip_p({0, 0, 0}), 1.0);
  EXPECT_EQ(sign_flip_p({1, 0, 2, 0, 4}), sign_flip_p({1, 2, 4}));
  EXPECT_TRUE(std::isnan(sign_flip_p({1, NAN})));
  EXPECT_TRUE(std::isnan(sign_flip_p({1, INFINITY})));
}

// 20 equal parts: the number of minus signs is binomial. 15 of 20 plus: P(X <= 5 or >= 15) =
// 0.0414.
TEST(SignFlip, OfManyContextsIsDrawn) {
  std::vector<double> parts(20, 1.0);
  for (size_t i = 0; i < 5; ++i) parts[i] = -1;
  const double p = sign_flip_p(parts);
  EXPECT_NEAR(p, 0.0414, 0.004);
  EXPECT_EQ(p, sign_flip_p(parts));
  std::swap(parts[0], parts[19]);
  EXPECT_EQ(p, sign_flip_p(parts));
  EXPECT_EQ(sign_flip_p(std::vector<double>(100, 1.0)), 1.0 / 20000);
}

TEST(Holm, MultipliesByWhatIsLeft) {
  const std::vector<double> adjusted = holm({0.04, 0.01, 0.03, NAN});
  EXPECT_DOUBLE_EQ(adjusted[1], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[0], 0.06);  // never below the one before
  EXPECT_TRUE(std::isnan(adjusted[3]));
  EXPECT_DOUBLE_EQ(holm({0.7, 0.9})[0], 1.0);
  EXPECT_TRUE(holm({}).empty());
}

// Eight policies like the full cache, 12 contexts each: a false alarm in at most 5 % of the tables,
// give or take what 1000 tables can tell.
TEST(Holm, KeepsTheErrorOfTheFamily) {
  Random random(11);
  int n_alarms = 0;
  for (int table = 0; table < 1000; ++table) {
    std::vector<double> p;
    for (int policy = 0; policy < 8; ++policy) {
      std::vector<double> parts;
      for (int context = 0; context < 12; ++context) parts.push_back(random.unit() - 0.5);
      p.push_back(sign_flip_p(parts));
    }
    bool is_alarm = false;
    for (const double adjusted : holm(p)) is_alarm |= adjusted < 0.05;
    n_alarms += is_alarm ? 1 : 0;
  }
  EXPECT_GT(n_alarms, 10);
  EXPECT_LE(n_alarms, 65);
}

}  // namespace
}  // namespace kvbench
