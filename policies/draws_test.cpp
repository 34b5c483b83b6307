#include "policies/draws.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

at::Tensor draws(const LayerView& layer, uint64_t seed = 3) { return uniform_draws(layer, seed); }

// Philox4x32-10 of Random123's known-answer file (kat_vectors): the counter and the key below give
// d16cfe09 first.
TEST(Draws, AreThoseOfTheGenerator) {
  LayerView layer = testing::random_view(1);
  layer.positions = {0x243f6a88, 0x243f6a88};
  layer.step = 0x85a308d3;
  layer.index = 0x13198a2e;
  layer.head = 0x03707344;
  EXPECT_EQ(draws(layer, 0x299f31d0a4093822)[0][0].item<double>(), (0xd16cfe09 + 0.5) * 0x1p-32);
}

TEST(Draws, AreOneForAllHeadsWhereAskedFor) {
  const LayerView layer = testing::random_view(9);
  const at::Tensor unified = uniform_draws(layer, 3, /*unified=*/true);
  EXPECT_TRUE(at::equal(unified[1], unified[0]));
  EXPECT_TRUE(at::equal(unified[0], draws(layer)[0]));
}

// A token's number depends on nothing but what it is for.
TEST(Draws, OfATokenAlone) {
  const LayerView whole = testing::random_view(20);
  const at::Tensor all = draws(whole);
  LayerView part = whole;
  part.keys = whole.keys.narrow(0, 1, 1).narrow(1, 0, 3);
  part.head = 1;
  part.positions = {7, 2, 19};
  EXPECT_TRUE(at::equal(draws(part)[0], all[1].index_select(0, at::tensor({7L, 2L, 19L}))));
  EXPECT_FALSE(at::equal(draws(whole, 4), all));
  LayerView other = whole;
  other.step = 1;
  EXPECT_FALSE(at::equal(draws(other), all));
  other.step = 0;
  other.index = 1;
  EXPECT_FALSE(at::equal(draws(other), all));
  EXPECT_GT(all.min().item<double>(), 0);
  EXPECT_LT(all.max().item<double>(), 1);
}

// Of weights 3, 1 and 0 two are drawn: the first is 0 three times in four, the token of weight 0
// never; of three it is the last.
TEST(Draws, ByWeightWithoutReplacement) {
  const at::Tensor weights = at::tensor({3.F, 0.F, 1.F, 0.F}).unsqueeze(0);
  LayerView layer = testing::random_view(4);
  layer.keys = layer.keys.narrow(0, 0, 1);
  int64_t n_first = 0;
  constexpr int64_t kDraws = 4000;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    const at::Tensor keys = draw_keys(weights, draws(layer, seed));
    EXPECT_EQ(select_top(keys, {2}).positions, (std::vector<int64_t>{0, 2}));
    EXPECT_EQ(select_top(keys, {3}).positions, (std::vector<int64_t>{0, 1, 2}));
    n_first += select_top(keys, {1}).positions[0] == 0;
  }
  EXPECT_NEAR(static_cast<double>(n_first) / kDraws, 0.75, 4 * std::sqrt(0.75 * 0.25 / kDraws));
}

}  // namespace
}  // namespace kvbench
