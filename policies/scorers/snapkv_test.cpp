#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

// One query of the window sees four keys with logits 0, ln 2, 0, ln 4: weights 1/8, 2/8, 1/8, 4/8.
LayerView snapkv_case() {
  const float ln2 = std::log(2.0F);
  const auto keys = at::tensor({0.F, ln2, 0.F, 2 * ln2}).view({1, 4, 1});
  return view_of(keys, at::ones({1, 4, 1}));
}

TEST(SnapKv, PoolsByHand) {
  const auto max = scorer("snapkv", {{"window", "1"}, {"kernel", "3"}, {"pooling", "max"}});
  const auto by_max = max->score(snapkv_case());
  for (int64_t j = 0; j < 3; ++j) EXPECT_NEAR(by_max[0][j].item<double>(), 0.25, 1e-6);
  EXPECT_NEAR(by_max[0][3].item<double>(), 1.25, 1e-5);  // the window: maximum + 1
  const auto avg = scorer("snapkv", {{"window", "1"}, {"kernel", "3"}, {"pooling", "avg"}});
  const auto by_avg = avg->score(snapkv_case());
  EXPECT_NEAR(by_avg[0][0].item<double>(), (0 + 0.125 + 0.25) / 3, 1e-6);  // padding counts
  EXPECT_NEAR(by_avg[0][1].item<double>(), (0.125 + 0.25 + 0.125) / 3, 1e-6);
}

TEST(SnapKv, GroupReductionAndOrder) {
  // Two query heads on one KV head: logits of the second are all zero, weights 1/4 each.
  LayerView layer = snapkv_case();
  layer.queries = at::stack({at::ones({4, 1}), at::zeros({4, 1})});
  const auto score = [&](const char* reduce, const char* order) {
    return scorer(
               "snapkv",
               {{"window", "1"}, {"kernel", "3"}, {"group_reduce", reduce}, {"pool_order", order}})
        ->score(layer)[0][0]
        .item<double>();
  };
  EXPECT_NEAR(score("mean", "pool_first"), 0.25, 1e-6);
  EXPECT_NEAR(score("sum", "pool_first"), 0.5, 1e-6);
  EXPECT_NEAR(score("max", "group_first"), 0.25, 1e-6);
  // Group first: means 3/16, 1/4, 3/16; the pool of the first is 1/4 as well.
  EXPECT_NEAR(score("mean", "group_first"), 0.25, 1e-6);
}

TEST(SnapKv, BudgetBelowTheWindowKeepsItsLatest) {
  const auto keys = at::randn({1, 20, 4});
  const auto scores =
      scorer("snapkv", {{"window", "8"}, {"kernel", "3"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores, {3}).positions, (std::vector<int64_t>{17, 18, 19}));
}

TEST(SnapKv, RefusesShortContextsAndBadParameters) {
  const auto keys = at::randn({1, 8, 4});
  EXPECT_THROW(scorer("snapkv", {{"window", "8"}})->score(view_of(keys, keys)), InputError);
  EXPECT_THROW(scorer("snapkv", {{"kernel", "4"}}), InputError);
  EXPECT_THROW(scorer("snapkv", {{"window", "0"}}), InputError);
  EXPECT_THROW(scorer("snapkv", {{"pooling", "mean"}}), InputError);
  EXPECT_THROW(scorer("snapkv", {{"windw", "8"}}), InputError);
}

// All variants against the formula over plainly computed weights (policies.md 2.5).
TEST(SnapKv, VariantsFollowTheFormula) {
  constexpr int64_t kTokens = 40, kWindow = 8, kRanked = kTokens - kWindow;
  const LayerView layer = testing::random_view(kTokens);
  const at::Tensor votes = testing::attention_weights(layer)
                               .narrow(1, kRanked, kWindow)
                               .narrow(2, 0, kRanked)
                               .mean(1);  // [4, 32]
  const auto pool = [](const at::Tensor& rows, bool max) {
    at::Tensor pooled = at::empty_like(rows);
    for (int64_t j = 0; j < kRanked; ++j) {
      const int64_t low = std::max<int64_t>(0, j - 2),
                    high = std::min<int64_t>(rows.size(1), j + 3);
      const at::Tensor near = rows.narrow(1, low, high - low);
      pooled.select(1, j).copy_(max ? near.amax(1) : near.sum(1) / 5);
    }
    return pooled;
  };
  const auto reduce = [](const at::Tensor& rows, const std::string& how) {
    const at::Tensor grouped = rows.view({2, 2, kRanked});
    return how == "mean" ? grouped.mean(1) : how == "max" ? grouped.amax(1) : grouped.sum(1);
  };
  for (const char* pooling : {"avg", "max"}) {
    for (const char* how : {"mean", "max", "sum"}) {
      const bool max = pooling == std::string("max");
      const std::map<std::string, at::Tensor> want = {
          {"pool_first", reduce(pool(votes, max), how)},
          {"group_first", pool(reduce(votes, how), max)}};
      for (const auto& [order, expected] : want) {
        SCOPED_TRACE(std::string(pooling) + " " + how + " " + order);
        const at::Tensor scores = scorer("snapkv", {{"window", "8"},
                                                    {"kernel", "5"},
                                                    {"pooling", pooling},
                                                    {"group_reduce", how},
                                                    {"pool_order", order}})
                                      ->score(layer);
        testing::expect_near(scores.narrow(1, 0, kRanked), expected, 1e-6);
        EXPECT_NEAR(scores[0][kRanked].item<double>(), expected.max().item<double>() + 1, 1e-5);
        EXPECT_NEAR(scores[1][kRanked].item<double>(), expected.max().item<double>() + 1, 1e-5);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
