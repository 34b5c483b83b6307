// The uniform budget and its rounding rules, which all allocators share.
#include <gtest/gtest.h>

#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

Counts uniform(int64_t n_tokens, double ratio, std::vector<Params::Given> given = {}) {
  return make_allocator("uniform", std::move(given))->allocate(budget_of(2, n_tokens, ratio)).on_host();
}

TEST(Uniform, KvpressRounding) {
  EXPECT_EQ(uniform(1000, 0.8), (Counts{199, 199}));  // 0.19999999999999996 * 1000
  EXPECT_EQ(uniform(724, 0.5), (Counts{362, 362}));
  EXPECT_EQ(uniform(3, 0.9), (Counts{1, 1}));
}

TEST(Uniform, ExactRounding) {
  const std::vector<Params::Given> exact = {{"budget_rounding", "exact"}};
  EXPECT_EQ(uniform(1000, 0.8, exact), (Counts{200, 200}));
  EXPECT_EQ(uniform(700, 0.8, exact), (Counts{140, 140}));
  EXPECT_EQ(uniform(724, 0.8, exact), (Counts{144, 144}));  // 144.8
  EXPECT_EQ(uniform(1000, 0.125, exact), (Counts{875, 875}));
  EXPECT_EQ(uniform(3, 0.9, exact), (Counts{1, 1}));
  for (int64_t percent = 1; percent < 100; ++percent) {
    const int64_t want = std::max<int64_t>(1, 1003 * (100 - percent) / 100);
    EXPECT_EQ(uniform(1003, static_cast<double>(percent) / 100, exact), (Counts{want, want}));
  }
}

TEST(Uniform, CapacityOverridesTheRatio) {
  EXPECT_EQ(uniform(1000, 0.8, {{"capacity", "64"}}), (Counts{64, 64}));
  EXPECT_EQ(uniform(50, 0.8, {{"capacity", "64"}}), (Counts{50, 50}));
}

TEST(Uniform, RefusesBadParameters) {
  EXPECT_THROW(make_allocator("uniform", {{"budget_rounding", "up"}}), InputError);
  EXPECT_THROW(make_allocator("uniform", {{"capacity", "-1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
