#include "kernels/common/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvbench {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float exp_of(float x) {
  Vec v = Vec{} - 1.0F;  // the other lanes' business stays theirs
  v[kLanes - 1] = x;
  const Vec e = exp_nonpositive(v);
  EXPECT_NEAR(e[0], std::exp(-1.0), 2e-7);
  return e[kLanes - 1];
}

TEST(ExpNonpositive, EqualsTheExponential) {
  for (float x = 0; x >= -64; x -= 0.01037F) {
    EXPECT_NEAR(exp_of(x) / std::exp(double{x}), 1.0, 3e-7) << x;
  }
  EXPECT_EQ(exp_of(0), 1.0F);
  EXPECT_EQ(exp_of(-0.0F), 1.0F);
  EXPECT_GT(exp_of(-64), 0.0F);
}

TEST(ExpNonpositive, FarBelowIsNothingAndNanStays) {
  EXPECT_EQ(exp_of(-64.00001F), 0.0F);
  EXPECT_EQ(exp_of(-3e38F), 0.0F);
  EXPECT_EQ(exp_of(-kInfinity), 0.0F);
  EXPECT_TRUE(std::isnan(exp_of(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(exp_of(-std::numeric_limits<float>::quiet_NaN())));
}

TEST(HorizontalSum, AddsAllLanes) {
  Vec v;
  float want = 0;
  for (int64_t i = 0; i < kLanes; ++i) want += v[i] = static_cast<float>(1 << i);
  EXPECT_EQ(horizontal_sum(v), want);
}

}  // namespace
}  // namespace kvbench
