#include <gtest/gtest.h>

#include <cmath>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

TEST(H2o, SumsOfAllQueries) {
  // As in the test of observed_attention, without the division.
  const auto keys = at::tensor({0.F, std::log(3.F)}).view({1, 2, 1});
  const auto queries = at::tensor({1.F, 1.F, 0.F, 0.F}).view({2, 2, 1});
  const auto scores = scorer("h2o", {{"recent", "0"}})->score(view_of(keys, queries));
  testing::expect_near(scores, at::tensor({1.375F, 0.625F}).view({1, 2}), 1e-6);
}

TEST(H2o, TheLatestOutrankTheHeavyHitters) {
  const LayerView layer = testing::random_view(30);
  const auto plain = scorer("h2o", {{"recent", "0"}})->score(layer);
  const auto scores = scorer("h2o", {{"recent", "4"}})->score(layer);
  EXPECT_TRUE(at::equal(scores.narrow(1, 0, 26), plain.narrow(1, 0, 26)));
  const double top = plain.narrow(1, 0, 26).max().item<double>() + 1;
  EXPECT_NEAR(scores[0][26].item<double>(), top, 1e-4);
  EXPECT_NEAR(scores[1][29].item<double>(), top, 1e-4);
  EXPECT_EQ(select_top(scores, {2, 2}).positions, (std::vector<int64_t>{28, 29, 28, 29}));
}

// Carried through a step: the sums of the whole are those of the first tokens and of the last ones.
TEST(H2o, SumsAreCarriedOn) {
  const LayerView whole = testing::random_view(30);
  LayerView before = whole, step = whole;
  before.keys = whole.keys.narrow(1, 0, 27);
  before.queries = whole.queries.narrow(1, 0, 27);
  step.queries = whole.queries.narrow(1, 27, 3);
  const auto h2o = scorer("h2o");
  testing::expect_near(h2o->carry(step, h2o->carry(before, {})), h2o->carry(whole, {}), 1e-5);
}

TEST(H2o, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("h2o")->score(testing::random_view(8)), InputError);
  EXPECT_NO_THROW(scorer("h2o")->score(testing::random_view(9)));
  EXPECT_THROW(scorer("h2o", {{"recent", "-1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
