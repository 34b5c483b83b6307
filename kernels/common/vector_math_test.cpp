#include "kernels/common/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace kvbench {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// f(x) in the last lane; the other lanes' business stays theirs.
float last_lane(Vec (*f)(Vec), float x, double of_minus_one) {
  Vec v = Vec{} - 1.0F;
  v[kLanes - 1] = x;
  const Vec e = f(v);
  EXPECT_NEAR(e[0], of_minus_one, 2e-7);
  return e[kLanes - 1];
}

float exp_of(float x) { return last_lane(exp_nonpositive, x, std::exp(-1.0)); }
float exp2_of(float x) { return last_lane(exp2_nonpositive, x, 0.5); }

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

TEST(Exp2Nonpositive, EqualsThePowerOfTwo) {
  for (float x = 0; x >= -92; x -= 0.01037F) {
    EXPECT_NEAR(exp2_of(x) / std::exp2(double{x}), 1.0, 2e-7) << x;
  }
  for (float x = 0; x >= -92; --x) EXPECT_EQ(exp2_of(x), std::exp2(x)) << x;
  EXPECT_EQ(exp2_of(-0.0F), 1.0F);
}

TEST(Exp2Nonpositive, FarBelowIsNothingAndNanStays) {
  EXPECT_EQ(exp2_of(-92.00001F), 0.0F);
  EXPECT_EQ(exp2_of(-3e38F), 0.0F);
  EXPECT_EQ(exp2_of(-kInfinity), 0.0F);
  EXPECT_TRUE(std::isnan(exp2_of(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_TRUE(std::isnan(exp2_of(-std::numeric_limits<float>::quiet_NaN())));
}

TEST(HorizontalSum, AddsAllLanes) {
  Vec v;
  float want = 0;
  for (int64_t i = 0; i < kLanes; ++i) want += v[i] = static_cast<float>(1 << i);
  EXPECT_EQ(horizontal_sum(v), want);
}

}  // namespace
}  // namespace kvbench
