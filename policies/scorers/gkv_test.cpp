#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;

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
  testing::expect_near(carry(scorer("gkv"), layer), local_score(layer, 8), 1e-5);
}

TEST(Gkv, JoinsTheGlobalScore) {
  const LayerView layer = testing::random_view(40);
  const at::Tensor f = local_score(layer, 8);
  const at::Tensor before = at::rand({2, 20});
  const at::Tensor known = f.narrow(1, 0, 20), added = f.narrow(1, 20, 12);
  const auto joined = [&](const at::Tensor& of_known) { return at::cat({of_known, added}, 1); };
  testing::expect_near(carry(scorer("gkv"), layer, before), joined(at::max(before * 0.8, known)),
                       1e-5);
  testing::expect_near(carry(scorer("gkv", {{"combine", "mean"}, {"alpha", "0.7"}}), layer, before),
                       joined(before * 0.7 + known * 0.3), 1e-5);
  testing::expect_near(carry(scorer("gkv", {{"combine", "sum"}}), layer, before),
                       joined(before * 0.8 + known), 1e-5);
}

TEST(Gkv, TheWindowStaysAndPoolingRanksNeighboursAlike) {
  const LayerView layer = testing::random_view(40);
  const auto plain = scorer("gkv")->score(layer);
  EXPECT_EQ(select_top(plain, {8, 8}).positions,
            (std::vector<int64_t>{32, 33, 34, 35, 36, 37, 38, 39, 32, 33, 34, 35, 36, 37, 38, 39}));
  const auto pooled = scorer("gkv", {{"kernel", "5"}})->score(layer);
  const int64_t best = plain[0].narrow(0, 2, 28).argmax().item<int64_t>() + 2;
  for (int64_t j = best - 2; j <= best + 2; ++j) {
    EXPECT_GE(pooled[0][j].item<float>(), plain[0][best].item<float>());
  }
}

// Row mean of the cosines with a zero diagonal and without each row's last entry above 0.5.
TEST(Gkv, RedundantKeysRankLower) {
  const LayerView layer = testing::random_view(40, /*d=*/2);  // many keys alike
  const at::Tensor keys = layer.keys.to(at::kDouble);
  const at::Tensor unit = keys / keys.norm(2, {-1}, true);
  at::Tensor means = at::zeros({2, 40}, at::kDouble);
  for (int64_t h = 0; h < 2; ++h) {
    for (int64_t i = 0; i < 40; ++i) {
      at::Tensor row = at::mv(unit[h], unit[h][i]);
      row[i] = 0;
      int64_t last = 0;
      for (int64_t j = 0; j < 40; ++j) {
        if (row[j].item<double>() > 0.5) last = j;
      }
      row[last] = 0;
      means[h][i] = row.mean();
    }
  }
  at::Tensor alike = means.softmax(-1).narrow(1, 0, 32);
  alike = alike / alike.amax(1, true);
  const auto scores = scorer("gkv", {{"redundancy", "true"}})->score(layer);
  testing::expect_near(scores.narrow(1, 0, 32), local_score(layer, 8) * 0.1 - alike * 0.9, 1e-5);
}

TEST(Gkv, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("gkv")->score(testing::random_view(8)), InputError);
  EXPECT_NO_THROW(scorer("gkv")->score(testing::random_view(9)));
  EXPECT_THROW(scorer("gkv", {{"kernel", "4"}}), InputError);
  EXPECT_THROW(scorer("gkv", {{"alpha", "1.5"}}), InputError);
}

}  // namespace
}  // namespace kvbench
