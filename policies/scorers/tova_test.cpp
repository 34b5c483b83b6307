#include <gtest/gtest.h>

#include <cmath>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

// Two KV heads of one query head each. The last query's weights are 1/8, 2/8, 1/8, 4/8 over the
// first head's keys and 1/4 each over the second's.
LayerView two_heads() {
  const float ln2 = std::log(2.0F);
  const auto keys = at::tensor({0.F, ln2, 0.F, 2 * ln2, 0.F, 0.F, 0.F, 0.F}).view({2, 4, 1});
  return view_of(keys, at::ones({2, 4, 1}));
}

TEST(Tova, OneScoreForAllHeads) {
  const float low = 3.F / 16, high = 1.F / 4;
  testing::expect_near(
      scorer("tova")->score(two_heads()),
      at::tensor({low, high, low, high + 1, low, high, low, high + 1}).view({2, 4}), 1e-6);
}

TEST(Tova, PerHead) {
  const auto scores = scorer("tova", {{"per_head", "true"}})->score(two_heads());
  testing::expect_near(
      scores, at::tensor({.125F, .25F, .125F, 1.25F, .25F, .25F, .25F, 1.25F}).view({2, 4}), 1e-6);
}

TEST(Tova, OnlyTheLastQueryCounts) {
  LayerView layer = testing::random_view(20);
  const auto before = scorer("tova")->score(layer);
  layer.queries = layer.queries.clone();
  layer.queries.narrow(1, 0, 19).zero_();
  EXPECT_TRUE(at::equal(before, scorer("tova")->score(layer)));
}

// As in the paper: the last query's own weights are 4/8 and 1/4.
TEST(Tova, TheLastTokenNeedNotStay) {
  const auto scores = scorer("tova", {{"keep_last", "false"}})->score(two_heads());
  const float low = 3.F / 16, high = 1.F / 4, last = 3.F / 8;
  testing::expect_near(scores,
                       at::tensor({low, high, low, last, low, high, low, last}).view({2, 4}), 1e-6);
}

TEST(Tova, RefusesOneToken) {
  EXPECT_THROW(scorer("tova")->score(testing::random_view(1)), InputError);
}

}  // namespace
}  // namespace kvbench
