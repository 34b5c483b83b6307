#include <gtest/gtest.h>

#include <algorithm>

#include "policies/kept.h"
#include "policies/key_redundancy.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;

std::vector<Params::Given> small_and(std::vector<Params::Given> given) {
  given.insert(given.end(), {{"buffer", "8"}, {"kernel", "1"}});
  return given;
}

// Attention of the buffer's queries to the tokens before it alone, mean over queries and group.
at::Tensor plain_weights(const LayerView& layer, int64_t buffer) {
  const int64_t n = layer.n_tokens() - buffer;
  const at::Tensor keys = layer.keys.narrow(1, 0, n).to(at::kDouble).repeat_interleave(2, 0);
  const at::Tensor queries = layer.queries.narrow(1, n, buffer).to(at::kDouble);
  const at::Tensor weights = at::matmul(queries, keys.transpose(1, 2)).mul(0.5).softmax(-1);
  return weights.mean(1).view({2, 2, n}).mean(1);
}

at::Tensor ranked(const std::unique_ptr<Scorer>& vase, const LayerView& layer, int64_t budget) {
  return vase->score_for_counts(layer, vase->score(layer), {budget, budget});
}

TEST(Vase, WeightsAreTheBuffersAttention) {
  const LayerView layer = testing::random_view(40);
  const at::Tensor want = plain_weights(layer, 8);
  testing::expect_near(scorer("vase", small_and({}))->score(layer).narrow(1, 0, 32), want, 1e-6);
  const auto pooled = scorer("vase", {{"buffer", "8"}})->score(layer).narrow(1, 0, 32);
  testing::expect_near(pooled, at::avg_pool1d(want, 5, 1, 2), 1e-6);
  const auto mixed =
      scorer("vase", small_and({{"choose", "attention"}, {"mix", "0.5"}}))->score(layer);
  const at::Tensor alike = key_redundancy(layer.keys.narrow(1, 0, 32), Redundancy::kPlain);
  testing::expect_near(mixed.narrow(1, 0, 32), want * 0.5 - alike * 0.5, 1e-6);
}

// Rows that do not lie by position: neighbours are either those of the rows or of the tokens.
TEST(Vase, PoolsBySlotOrByPosition) {
  LayerView layer = testing::random_view(14);
  layer.positions = {3, 0, 5, 1, 4, 2, 6, 7, 8, 9, 10, 11, 12, 13,   // of one head
                     0, 2, 4, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13};  // and of the other
  const at::Tensor want = plain_weights(layer, 8);                   // of 6 rows
  const auto by = [&](const char* order) {
    return scorer("vase", {{"buffer", "8"}, {"kernel", "3"}, {"smooth_order", order}})
        ->score(layer);
  };
  const at::Tensor slot = by("slot"), position = by("position");
  // Row 0 holds token 3, whose neighbours 2 and 4 are rows 5 and 4.
  testing::expect_near(slot[0][0], (want[0][0] + want[0][1]) / 3, 1e-6);
  testing::expect_near(position[0][0], (want[0][0] + want[0][5] + want[0][4]) / 3, 1e-6);
  testing::expect_near(position[1][1], (want[1][1] + want[1][3] + want[1][4]) / 3, 1e-6);
}

// Budget 20, 8 of them the latest, 5 the sinks and the largest values, 7 others.
TEST(Vase, LargeValuesAreForcedInBeforeTheDraws) {
  LayerView layer = testing::random_view(40);
  layer.values = layer.values * 0.01;
  layer.values[0][17][0] = 9;
  layer.values[0][30][0] = 7;
  layer.values[0][9][0] = 8;
  const auto vase = scorer("vase", small_and({{"sinks", "2"}}));
  const at::Tensor scores = ranked(vase, layer, 20);
  const at::Tensor order =
      std::get<1>(scores[0].narrow(0, 0, 32).sort(/*stable=*/true, 0, /*descending=*/true));
  EXPECT_TRUE(at::equal(order.narrow(0, 0, 5), at::tensor({0L, 1L, 17L, 9L, 30L})));
  const auto kept = select_top(scores, {20, 20}).positions;
  EXPECT_EQ(std::vector(kept.begin() + 12, kept.begin() + 20),
            (std::vector<int64_t>{32, 33, 34, 35, 36, 37, 38, 39}));
  // The same seed draws the same, another one not.
  EXPECT_TRUE(at::equal(ranked(vase, layer, 20), scores));
  layer.seed = 1;
  EXPECT_FALSE(at::equal(ranked(vase, layer, 20), scores));
}

// Budget 20, 8 of them the latest, 6 the prompt's, 5 the largest of what was said, 1 another.
TEST(Vase, ThePromptMayStandApart) {
  LayerView layer = testing::random_view(40);
  layer.n_prompt = 6;
  layer.values = layer.values * 0.01;
  for (const int64_t t : {2, 10, 11, 12, 20, 25, 30}) layer.values[0][t][0] = 40 - t;
  const auto vase = scorer("vase", small_and({{"prompt_apart", "true"}}));
  const at::Tensor order = std::get<1>(ranked(vase, layer, 20)[0].narrow(0, 0, 32).sort(
      /*stable=*/true, 0, /*descending=*/true));
  EXPECT_TRUE(at::equal(order.narrow(0, 0, 5), at::tensor({10L, 11L, 12L, 20L, 25L})));
  // A quarter of the budget is 5, of which a prompt of 10 leaves 2.
  layer.n_prompt = 10;
  const at::Tensor fewer = ranked(vase, layer, 20)[0].narrow(0, 0, 32);
  EXPECT_EQ((fewer > 500).sum().item<int64_t>(), 2);
}

TEST(Vase, ABudgetBelowTheBufferKeepsTheLatest) {
  const LayerView layer = testing::random_view(40);
  EXPECT_EQ(select_top(ranked(scorer("vase", small_and({})), layer, 3), {3, 3}).positions,
            (std::vector<int64_t>{37, 38, 39, 37, 38, 39}));
}

TEST(Vase, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("vase")->score(testing::random_view(64)), InputError);
  EXPECT_THROW(scorer("vase", {{"large", "1.5"}}), InputError);
  EXPECT_THROW(scorer("vase", {{"mix", "0.5"}}), InputError);
  EXPECT_THROW(scorer("vase", {{"choose", "attn"}}), InputError);
}

}  // namespace
}  // namespace kvbench
