// Selection, budget and protection on values worked by hand, and that every file registers its
// name. Scorers, allocators and weightings have tests of their own beside them.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "policies/allocator.h"
#include "policies/kept.h"
#include "policies/scorer.h"
#include "policies/scorers/testing.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

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
  check(root / "weightings", Registry<Weighting>::instance());
}

// What the cache relies on, whatever the dtype of the model.
TEST(Registered, EachScorerGivesFiniteFloatScores) {
  for (const auto& name : Registry<Scorer>::instance().names()) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(name + " " + at::toString(dtype));
      LayerView layer = testing::random_view(70);
      layer.importance = layer.reconstruction = at::rand({2, 70});  // made by the engine
      for (at::Tensor* tensor : {&layer.keys, &layer.values, &layer.queries, &layer.queries_prerope,
                                 &layer.output_weight, &layer.hidden_states}) {
        *tensor = tensor->to(dtype);
      }
      const at::Tensor scores = testing::ready_scorer(name)->score(layer);
      EXPECT_EQ(scores.scalar_type(), at::kFloat);
      EXPECT_EQ(scores.sizes(), at::IntArrayRef({2, 70}));
      EXPECT_TRUE(scores.isfinite().all().item<bool>());
    }
  }
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

// Sinks, then the latest of the recent, whatever their scores and however few there is room for.
TEST(SelectTop, ProtectedTokensComeFirst) {
  const auto scores = at::tensor({1.F, 1e10F, 2e10F, 9.F, 1e10F, 2.F, 1.F}).view({1, 7});
  const auto kept = [&](int64_t n) { return select_top(scores, {n}, {2, 3}).positions; };
  EXPECT_EQ(kept(1), (std::vector<int64_t>{0}));
  EXPECT_EQ(kept(2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(kept(3), (std::vector<int64_t>{0, 1, 6}));
  EXPECT_EQ(kept(5), (std::vector<int64_t>{0, 1, 4, 5, 6}));
  EXPECT_EQ(kept(6), (std::vector<int64_t>{0, 1, 2, 4, 5, 6}));
  EXPECT_EQ(kept(7).size(), 7u);
  // More protected tokens than there are.
  EXPECT_EQ(select_top(scores, {3}, {5, 5}).positions, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(select_top(scores, {6}, {5, 5}).positions, (std::vector<int64_t>{0, 1, 2, 3, 4, 6}));
}

TEST(Above, IsAboveInFloat32Too) {
  EXPECT_EQ(above(at::tensor({1.F, 5.F})).item<float>(), 6.F);
  EXPECT_EQ(above(at::tensor({-7.F, -5.F})).item<float>(), -4.F);
  for (const float top : {1e10F, -1e10F, 1e30F}) {
    EXPECT_GT(above(at::tensor({top, top})).item<float>(), top);
  }
}

// least_tokens() is where score() begins to work, for every scorer that is there.
TEST(Registered, EachScorerRefusesFewerThanItsLeastTokens) {
  for (const auto& name : Registry<Scorer>::instance().names()) {
    const auto scorer = testing::ready_scorer(name);
    const auto view_of = [](int64_t n_tokens) {
      LayerView layer = testing::random_view(n_tokens);
      layer.importance = layer.reconstruction = at::rand({2, n_tokens});
      return layer;
    };
    const int64_t least = scorer->least_tokens();
    ASSERT_GE(least, 1) << name;
    EXPECT_NO_THROW(check_scores(scorer->score(view_of(least)), view_of(least), name)) << name;
    if (least == 1) continue;
    EXPECT_THROW(scorer->score(view_of(least - 1)), InputError) << name;
  }
}

// While decoding, heads in one view are ranked as each is alone, whatever tokens they hold.
TEST(Registered, EachScorerRanksHeldTokensOfAHeadByThemselves) {
  constexpr int64_t kTokens = 90, kPrompt = 20;
  int64_t n_ranking = 0;
  for (const auto& name : Registry<Scorer>::instance().names()) {
    const auto scorer = testing::ready_scorer(name);
    const auto needs = scorer->decode_needs();
    if (!needs || needs->same_tokens) continue;
    ++n_ranking;
    LayerView both = testing::random_view(kTokens);
    const int64_t n_queries = std::max<int64_t>(needs->queries, 1);
    both.queries = both.queries.narrow(1, kTokens - n_queries, n_queries);
    both.queries_prerope.reset();
    both.n_prompt = kPrompt;
    both.step = kTokens + 9 - kPrompt;
    for (const int64_t gap_at : {int64_t{20}, int64_t{24}}) {  // of each head, before its latest
      for (int64_t t = 0; t < kTokens; ++t) both.positions.push_back(t < gap_at ? t : t + 9);
    }
    for (const int64_t count : {70, 85}) {
      const auto kept = [&](const LayerView& layer) {
        const std::vector<int64_t> counts(layer.n_kv_heads(), count);
        at::Tensor scores = scorer->rank(layer, scorer->carry(layer, {}));
        if (scorer->ranks_by_budget()) scores = scorer->score_for_counts(layer, scores, counts);
        return select_top(scores, counts).positions;
      };
      std::vector<int64_t> alone;
      for (int64_t h = 0; h < 2; ++h) {
        LayerView one = both;
        one.head = h;
        one.keys = both.keys.narrow(0, h, 1);
        one.values = both.values.narrow(0, h, 1);
        one.queries = both.queries.narrow(0, 2 * h, 2);
        one.output_weight = both.output_weight.narrow(1, 16 * h, 16);
        const auto first = both.positions.begin() + h * kTokens;
        one.positions = {first, first + kTokens};
        const std::vector<int64_t> of_head = kept(one);
        alone.insert(alone.end(), of_head.begin(), of_head.end());
      }
      EXPECT_EQ(kept(both), alone) << name;
    }
  }
  EXPECT_GE(n_ranking, 9);
}

TEST(CheckScores, NamesWhoAndTheHead) {
  const LayerView layer = testing::random_view(3);
  const auto error = [&](const at::Tensor& scores) -> std::string {
    try {
      check_scores(scores, layer, "scorer x");
    } catch (const std::runtime_error& e) {
      return e.what();
    }
    return "";
  };
  at::Tensor scores = at::zeros({2, 3});
  EXPECT_EQ(error(scores), "");
  scores[1][2] = NAN;
  EXPECT_EQ(error(scores), "scorer x gave NaN for KV head 1");
  EXPECT_EQ(error(at::zeros({2, 4})), "scorer x must give float32 scores [2, 3]");
  EXPECT_EQ(error(at::zeros({2, 3}, at::kDouble)), "scorer x must give float32 scores [2, 3]");
  EXPECT_EQ(error({}), "scorer x must give float32 scores [2, 3]");
}

}  // namespace
}  // namespace kvbench
