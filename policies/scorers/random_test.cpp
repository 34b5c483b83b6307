#include <gtest/gtest.h>

#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(RandomScorer, SeedAndLayerDecide) {
  const auto keys = at::zeros({2, 16, 2});
  LayerView layer = view_of(keys, keys);
  layer.seed = 5;
  const auto per_layer = scorer("random"),
             one_draw = scorer("random", {{"seed_per_layer", "false"}});
  const auto first = per_layer->score(layer), same = one_draw->score(layer);
  EXPECT_TRUE(at::equal(first, per_layer->score(layer)));
  layer.index = 1;
  EXPECT_FALSE(at::equal(first, per_layer->score(layer)));
  EXPECT_TRUE(at::equal(same, one_draw->score(layer)));
  EXPECT_FALSE(at::equal(first[0], first[1]));
  layer.index = 0;
  layer.step = 1;
  EXPECT_FALSE(at::equal(first, per_layer->score(layer)));
  EXPECT_TRUE(at::equal(same, one_draw->score(layer)));
  layer.seed = 6;
  EXPECT_FALSE(at::equal(same, one_draw->score(layer)));
}

}  // namespace
}  // namespace kvbench
