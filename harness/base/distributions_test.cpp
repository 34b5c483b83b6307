#include "harness/base/distributions.h"

#include <gtest/gtest.h>

#include <cmath>

namespace kvbench {
namespace {

// Expected values: scipy 1.17, scipy.special.betainc, scipy.stats.t.ppf and binom.cdf.
TEST(Distributions, IncompleteBeta) {
  EXPECT_DOUBLE_EQ(incomplete_beta(1, 1, 0.3), 0.3);
  EXPECT_EQ(incomplete_beta(2, 3, 0), 0);
  EXPECT_EQ(incomplete_beta(2, 3, 1), 1);
  EXPECT_NEAR(incomplete_beta(2, 3, 0.4), 0.5248, 1e-12);
  EXPECT_NEAR(incomplete_beta(0.5, 0.5, 0.25), 1.0 / 3, 1e-12);
  EXPECT_NEAR(incomplete_beta(5000, 5000, 0.5), 0.5, 1e-10);
}

TEST(Distributions, QuantilesOfStudent) {
  EXPECT_NEAR(student_t_quantile(0.975, 1), 12.706204736174698, 1e-8);
  EXPECT_NEAR(student_t_quantile(0.975, 9), 2.262157162798205, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.025, 9), -2.262157162798205, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.9, 4), 1.533206274058944, 1e-10);
  EXPECT_NEAR(student_t_quantile(0.975, 1e6), 1.959966, 1e-5);
  EXPECT_NEAR(student_t_quantile(0.975, 1e300), 1.959964, 1e-5);
  EXPECT_NEAR(student_t_quantile(0.5, 3), 0, 1e-7);
}

TEST(Distributions, QuantilesOfStudentWithAPartOfADegree) {
  // Between the whole ones, and P(T <= quantile) is what was asked for.
  const double t = student_t_quantile(0.975, 3.5);
  EXPECT_LT(t, student_t_quantile(0.975, 3));
  EXPECT_GT(t, student_t_quantile(0.975, 4));
  EXPECT_NEAR(1 - incomplete_beta(3.5 / 2, 0.5, 3.5 / (3.5 + t * t)) / 2, 0.975, 1e-12);
}

TEST(Distributions, Binomial) {
  EXPECT_EQ(binomial_cdf(-1, 10, 0.5), 0);
  EXPECT_EQ(binomial_cdf(10, 10, 0.5), 1);
  EXPECT_NEAR(binomial_cdf(0, 59, 0.05), std::pow(0.95, 59), 1e-12);
  EXPECT_NEAR(binomial_cdf(1, 3, 0.5), 0.5, 1e-12);
  EXPECT_NEAR(binomial_cdf(2, 4, 0.25), 0.94921875, 1e-12);
}

}  // namespace
}  // namespace kvbench
