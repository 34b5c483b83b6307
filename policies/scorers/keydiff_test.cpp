#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

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

// Block by block, the plain way: the anchor is that of the keys present.
TEST(KeyDiff, SelectsBlockByBlock) {
  const LayerView layer = testing::random_view(50);
  const auto blockwise = scorer("keydiff", {{"block_size", "16"}});
  const auto one_shot = scorer("keydiff");
  const std::vector<int64_t> counts = {10, 23};
  const auto ranked = blockwise->score_for_counts(layer, blockwise->score(layer), counts);
  const KeptTokens kept = select_top(ranked, counts);
  for (int64_t h = 0; h < 2; ++h) {
    std::vector<int64_t> present(static_cast<size_t>(counts[h]));
    std::iota(present.begin(), present.end(), 0);
    for (int64_t first = counts[h]; first < 50; first += 16) {
      for (int64_t t = first; t < std::min<int64_t>(first + 16, 50); ++t) present.push_back(t);
      const auto keys = layer.keys.narrow(0, h, 1).index_select(1, at::tensor(present));
      const auto stay = select_top(one_shot->score(view_of(keys, keys)), {counts[h]}).positions;
      std::vector<int64_t> next;
      for (const auto row : stay) next.push_back(present[static_cast<size_t>(row)]);
      present = next;
    }
    EXPECT_EQ(std::vector<int64_t>(kept.positions.begin() + kept.offsets[h],
                                   kept.positions.begin() + kept.offsets[h + 1]),
              present);
  }
  EXPECT_NE(kept.positions, select_top(one_shot->score(layer), counts).positions);
}

// All keys alike: the maximum is -1, and the protected tokens still differ.
TEST(KeyDiff, RecentTokensDifferWhenAllKeysAreAlike) {
  const auto keys = at::ones({1, 6, 2});
  const auto scores = scorer("keydiff", {{"recent", "3"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores, {2}).positions, (std::vector<int64_t>{4, 5}));
}

}  // namespace
}  // namespace kvbench
