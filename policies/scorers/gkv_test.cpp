#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/key_redundancy.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;

const std::vector<Params::Given> kPlain = {{"window", "8"}, {"redundancy", "false"}};

std::vector<Params::Given> plain_and(std::vector<Params::Given> given) {
  given.insert(given.end(), kPlain.begin(), kPlain.end());
  return given;
}

// Local score of the tokens before the window, the plain way: group maximum of the attention, mean
// over the window's queries, divided by its maximum.
at::Tensor local_score(const LayerView& layer, int64_t window) {
  const int64_t n_ranked = layer.n_tokens() - window, n_heads = layer.n_kv_heads();
  const at::Tensor weights = testing::attention_weights(layer)
                                 .narrow(1, n_ranked, window)
                                 .narrow(2, 0, n_ranked)
                                 .view({n_heads, -1, window, n_ranked});
  const at::Tensor f = weights.amax(1).mean(1);
  return f / f.amax(1, true);
}

at::Tensor carry(const std::unique_ptr<Scorer>& gkv, const LayerView& layer,
                 const at::Tensor& before = {}) {
  return gkv->carry(layer, before);
}

TEST(Gkv, BeginsWithTheLocalScore) {
  const LayerView layer = testing::random_view(40);
  testing::expect_near(carry(scorer("gkv", kPlain), layer), local_score(layer, 8), 1e-5);
}

TEST(Gkv, JoinsTheGlobalScore) {
  const LayerView layer = testing::random_view(40);
  const at::Tensor f = local_score(layer, 8);
  const at::Tensor before = at::rand({2, 20});
  const at::Tensor known = f.narrow(1, 0, 20), added = f.narrow(1, 20, 12);
  const auto joined = [&](const at::Tensor& of_known) { return at::cat({of_known, added}, 1); };
  testing::expect_near(carry(scorer("gkv", kPlain), layer, before),
                       joined(at::max(before * 0.8, known)), 1e-5);
  testing::expect_near(
      carry(scorer("gkv", plain_and({{"combine", "mean"}, {"alpha", "0.7"}})), layer, before),
      joined(before * 0.7 + known * 0.3), 1e-5);
  testing::expect_near(carry(scorer("gkv", plain_and({{"combine", "sum"}})), layer, before),
                       joined(before * 0.8 + known), 1e-5);
}

TEST(Gkv, TheWindowStaysAndPoolingRanksNeighboursAlike) {
  const LayerView layer = testing::random_view(40);
  const auto plain = scorer("gkv", kPlain)->score(layer);
  EXPECT_EQ(select_top(plain, {8, 8}).positions,
            (std::vector<int64_t>{32, 33, 34, 35, 36, 37, 38, 39, 32, 33, 34, 35, 36, 37, 38, 39}));
  const auto pooled = scorer("gkv", plain_and({{"kernel", "5"}}))->score(layer);
  const int64_t best = plain[0].narrow(0, 2, 28).argmax().item<int64_t>() + 2;
  for (int64_t j = best - 2; j <= best + 2; ++j) {
    EXPECT_GE(pooled[0][j].item<float>(), plain[0][best].item<float>());
  }
}

// Four copies of a key: the newest loses all penalties of the group, the second newest one of them,
// the older two none.
TEST(Gkv, TheNewestOfAlikeKeysIsSpared) {
  LayerView layer = testing::random_view(40, /*d=*/64);
  for (const int64_t copy : {9, 12, 20}) {
    layer.keys.select(1, copy).copy_(layer.keys.select(1, 5));
  }
  const at::Tensor scores = scorer("gkv", {{"window", "8"}, {"mix", "0"}})->score(layer);
  const auto less = [&](int64_t copy) { return -scores[0][copy].item<double>(); };
  EXPECT_NEAR(less(5), less(9), 1e-5);
  EXPECT_NEAR(std::log(less(5) / less(12)), 1.0 / 40, 1e-4);
  EXPECT_NEAR(std::log(less(5) / less(20)), 3.0 / 40, 1e-4);
}

TEST(Gkv, RedundancyIsSubtracted) {
  const LayerView layer = testing::random_view(40);
  at::Tensor alike = key_redundancy(layer.keys, Redundancy::kRaw).narrow(1, 0, 32);
  alike = alike / alike.amax(1, true);
  const auto scores =
      scorer("gkv", {{"window", "8"}, {"mix", "0.1"}, {"similarity", "raw"}})->score(layer);
  testing::expect_near(scores.narrow(1, 0, 32), local_score(layer, 8) * 0.1 - alike * 0.9, 1e-5);
}

// H2O as G-KV's code has it: sums over the whole prompt, group maximum, nothing normalised.
TEST(Gkv, BeginsWithTheSumsOfThePrompt) {
  const LayerView layer = testing::random_view(300);
  EXPECT_FALSE(scorer("gkv")->begin(layer).defined());
  const auto h2o = scorer("gkv", {{"window", "1"},
                                  {"combine", "sum"},
                                  {"alpha", "1"},
                                  {"normalize", "false"},
                                  {"initial_sums", "true"},
                                  {"redundancy", "false"}});
  const at::Tensor sums = h2o->begin(layer);
  testing::expect_near(
      sums, testing::attention_weights(layer).view({2, 2, 300, 300}).amax(1).sum(1), 1e-4);
  testing::expect_near(h2o->carry(layer, {}), h2o->carry(layer, sums), 0);
  // One cut later the last query's attention has joined the tokens before it.
  const at::Tensor last = testing::attention_weights(layer).view({2, 2, 300, 300}).amax(1);
  testing::expect_near(h2o->carry(layer, sums.narrow(1, 0, 100)),
                       at::cat({sums.narrow(1, 0, 100), at::zeros({2, 199})}, 1) +
                           last.select(1, 299).narrow(1, 0, 299),
                       1e-4);
}

TEST(Gkv, ItsShiftIndicatorAddsTheQueriesDeviation) {
  const LayerView layer = testing::random_view(40);
  const at::Tensor votes = testing::attention_weights(layer)
                               .narrow(1, 32, 8)
                               .narrow(2, 0, 32)
                               .view({2, 2, 8, 32})
                               .amax(1);
  testing::expect_near(
      carry(scorer("gkv", plain_and({{"shift", "200"}, {"normalize", "false"}})), layer),
      votes.mean(1) + votes.std(1) * 200, 1e-3);
}

TEST(Gkv, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("gkv")->score(testing::random_view(16)), InputError);
  EXPECT_NO_THROW(scorer("gkv")->score(testing::random_view(17)));
  EXPECT_THROW(scorer("gkv", {{"kernel", "4"}}), InputError);
  EXPECT_THROW(scorer("gkv", {{"alpha", "1.5"}}), InputError);
}

}  // namespace
}  // namespace kvbench
