// Scorers and selection on values worked by hand, and that every file registers its name.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "policies/kept.h"
#include "policies/policy.h"

namespace kvbench {
namespace {

std::unique_ptr<Scorer> scorer(const std::string& name, std::vector<Params::Given> given = {}) {
  Params params("scorer " + name, "", std::move(given));
  auto made = Registry<Scorer>::instance().find(name).make(params);
  params.finish();
  return made;
}

// H = 1, Hq = 1 unless the tensors say otherwise.
LayerView view_of(const at::Tensor& keys, const at::Tensor& queries) {
  LayerView view;
  view.index = 0;
  view.n_layers = 1;
  view.keys = keys;
  view.values = keys;
  view.queries = view.queries_prerope = queries;
  view.attention_scale = 1;
  return view;
}

TEST(Registered, EachFileUnderItsOwnName) {
  const std::filesystem::path root = std::filesystem::path(KVBENCH_TEST_ROOT) / "policies";
  const auto check = [](const std::filesystem::path& folder, const auto& registry) {
    size_t n_files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string stem = entry.path().stem().string();
      if (entry.path().extension() != ".cpp" || stem.ends_with("_test")) continue;
      EXPECT_NO_THROW(registry.find(stem)) << entry.path();
      ++n_files;
    }
    EXPECT_EQ(n_files, registry.names().size());
  };
  check(root / "scorers", Registry<Scorer>::instance());
  check(root / "allocators", Registry<Allocator>::instance());
}

TEST(SelectTop, TiesGoToTheLowerPosition) {
  const auto scores = at::tensor({1.F, 3.F, 3.F, 2.F, 3.F, 0.F}).view({1, 6});
  EXPECT_EQ(select_top(scores, {2}).positions, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(select_top(scores, {4}).positions, (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(select_top(scores, {0}).positions.size(), 0u);
  EXPECT_EQ(select_top(scores, {6}).positions.size(), 6u);
}

TEST(SelectTop, EachHeadItsOwnCount) {
  const auto scores = at::tensor({1.F, 2.F, 3.F, 3.F, 2.F, 1.F}).view({2, 3});
  const KeptTokens kept = select_top(scores, {1, 2});
  EXPECT_EQ(kept.positions, (std::vector<int64_t>{2, 0, 1}));
  EXPECT_EQ(kept.counts(), (std::vector<int64_t>{1, 2}));
}

TEST(SelectTop, RefusesNanAndImpossibleCounts) {
  EXPECT_THROW(select_top(at::tensor({1.F, NAN}).view({1, 2}), {1}), std::logic_error);
  EXPECT_THROW(select_top(at::tensor({1.F, 2.F}).view({1, 2}), {3}), std::logic_error);
  EXPECT_THROW(select_top(at::tensor({1.F, 2.F}).view({1, 2}), {1, 1}), std::logic_error);
}

TEST(Budget, UniformTruncatesAsKvpressDoes) {
  const auto count = [](int64_t n_tokens, double ratio) {
    LayerBudget budget;
    budget.ratio = ratio;
    budget.scores = at::zeros({2, n_tokens});
    return budget.uniform_count();
  };
  EXPECT_EQ(count(1000, 0.8), 199);  // 0.19999999999999996 * 1000
  EXPECT_EQ(count(700, 0.8), 139);
  EXPECT_EQ(count(724, 0.5), 362);
  EXPECT_EQ(count(3, 0.9), 1);  // never nothing
}

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

TEST(Position, SinksThenTheLatest) {
  const auto keys = at::zeros({2, 8, 2});
  const auto scores = scorer("position", {{"sink", "2"}})->score(view_of(keys, keys));
  EXPECT_EQ(select_top(scores[0].unsqueeze(0), {4}).positions, (std::vector<int64_t>{0, 1, 6, 7}));
  EXPECT_EQ(select_top(scores[1].unsqueeze(0), {1}).positions, (std::vector<int64_t>{0}));
}

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
  layer.seed = 6;
  EXPECT_FALSE(at::equal(same, one_draw->score(layer)));
}

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

TEST(Protect, OutranksEverything) {
  auto scores = at::tensor({1.F, 5.F, 2.F, 3.F}).view({1, 4});
  protect(scores, 1, 1);
  EXPECT_TRUE(at::equal(scores, at::tensor({6.F, 5.F, 2.F, 6.F}).view({1, 4})));
}

}  // namespace
}  // namespace kvbench
