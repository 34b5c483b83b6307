#include "harness/report/risk_control.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "harness/base/random.h"

namespace kvbench {
namespace {

std::vector<double> losses(size_t n, size_t n_lost) {
  std::vector<double> all(n, 0.0);
  std::fill_n(all.begin(), n_lost, 1.0);
  return all;
}

TEST(HoeffdingBentkus, OfNoLossIsThePowerOfLuck) {
  EXPECT_NEAR(hoeffding_bentkus_p(0, 59, 0.05), std::pow(0.95, 59), 1e-12);
  EXPECT_EQ(hoeffding_bentkus_p(0.05, 1000, 0.05), 1);
  EXPECT_EQ(hoeffding_bentkus_p(NAN, 10, 0.05), 1);
  EXPECT_EQ(hoeffding_bentkus_p(0, 0, 0.05), 1);
}

// Beside scipy: min(exp(-n * (m*log(m/r) + (1-m)*log((1-m)/(1-r)))), e * binom.cdf(ceil(n*m), n,
// r))
TEST(HoeffdingBentkus, AgreesWithScipy) {
  EXPECT_NEAR(hoeffding_bentkus_p(0.02, 200, 0.05), 0.07188985588568107, 1e-9);
  EXPECT_NEAR(hoeffding_bentkus_p(0.06, 200, 0.2), 5.452549300216254e-08, 1e-12);
}

TEST(RiskControl, StopsAtTheFirstThatIsNotCertain) {
  const Losses all = {losses(200, 0), losses(200, 2), losses(200, 10), losses(200, 0)};
  EXPECT_EQ(learn_then_test(all, 0.05, 0.95), 2U);  // what comes behind a gap does not count
  EXPECT_EQ(learn_then_test({losses(58, 0)}, 0.05, 0.95), 0U);
  EXPECT_EQ(learn_then_test({losses(59, 0)}, 0.05, 0.95), 1U);
  EXPECT_EQ(learn_then_test({{}}, 0.05, 0.95), 0U);
  EXPECT_EQ(learn_then_test({}, 0.05, 0.95), 0U);
}

TEST(RiskControl, InExpectationNeedsLess) {
  EXPECT_EQ(conformal_risk_control({losses(18, 0)}, 0.05), 0U);
  EXPECT_EQ(conformal_risk_control({losses(19, 0)}, 0.05), 1U);
  // 100 / 101 x 0.04 + 1 / 101 = 5 / 101 < 0.05 < 6 / 101.
  EXPECT_EQ(conformal_risk_control({losses(100, 4), losses(100, 5)}, 0.05), 1U);
}

TEST(RiskControl, SaysHowManyContextsAreNeededAtLeast) {
  EXPECT_EQ(contexts_to_test(0.05, 0.95), 59);
  EXPECT_EQ(contexts_to_test(0.1, 0.9), 22);
  EXPECT_EQ(contexts_to_conform(0.05), 19);
  EXPECT_EQ(contexts_to_conform(0.3), 3);
}

// The first setting's loss is just above the risk: the worst case for a certificate. 1000 workloads
// of 100 contexts; 5 % of false ones, give or take what 1000 can tell.
TEST(RiskControl, BreaksItsPromiseSeldom) {
  Random random(3);
  int n_broken = 0;
  for (int workload = 0; workload < 1000; ++workload) {
    std::vector<double> lost;
    for (int context = 0; context < 100; ++context) {
      lost.push_back(random.unit() < 0.0501 ? 1.0 : 0.0);
    }
    n_broken += learn_then_test({lost}, 0.05, 0.95) > 0 ? 1 : 0;
  }
  EXPECT_GT(n_broken, 0);
  EXPECT_LE(n_broken, 50);
}

}  // namespace
}  // namespace kvbench
