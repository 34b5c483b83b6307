#include <gtest/gtest.h>

#include <cmath>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(KeyDiff, KeysAlongTheMeanScoreLowest) {
  // Normalised keys (1,0), (1,0), (0,1): anchor (2/3, 1/3), |anchor| = sqrt(5)/3.
  const auto keys = at::tensor({2.F, 0.F, 1.F, 0.F, 0.F, 5.F}).view({1, 3, 2});
  const auto scores = scorer("keydiff")->score(view_of(keys, keys));
  EXPECT_NEAR(scores[0][0].item<double>(), -2 / std::sqrt(5.0), 1e-6);
  EXPECT_NEAR(scores[0][1].item<double>(), -2 / std::sqrt(5.0), 1e-6);
  EXPECT_NEAR(scores[0][2].item<double>(), -1 / std::sqrt(5.0), 1e-6);
}

TEST(KeyDiff, ZeroKeyIsNoNan) {
  const auto keys = at::zeros({1, 4, 2});
  EXPECT_TRUE(scorer("keydiff")->score(view_of(keys, keys)).isfinite().all().item<bool>());
}

// The sliding variant: the last tokens stay whatever their keys, the latest of them first.
TEST(KeyDiff, RecentTokensAreKept) {
  const auto keys = at::tensor({2.F, 0.F, 1.F, 0.F, 0.F, 5.F, 3.F, 0.F, 3.F, 0.F}).view({1, 5, 2});
  const auto scores = scorer("keydiff", {{"recent", "2"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores, {1}).positions, (std::vector<int64_t>{4}));
  EXPECT_EQ(select_top(scores, {3}).positions, (std::vector<int64_t>{2, 3, 4}));
  EXPECT_THROW(scorer("keydiff", {{"recent", "5"}})->score(view_of(keys, keys)), InputError);
}

// All keys alike: the maximum is -1, and the protected tokens still differ.
TEST(KeyDiff, RecentTokensDifferWhenAllKeysAreAlike) {
  const auto keys = at::ones({1, 6, 2});
  const auto scores = scorer("keydiff", {{"recent", "3"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores, {2}).positions, (std::vector<int64_t>{4, 5}));
}

}  // namespace
}  // namespace kvbench
