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
      layer.importance = at::rand({2, 70});  // for oracles
      for (at::Tensor* tensor : {&layer.keys, &layer.values, &layer.queries, &layer.queries_prerope,
                                 &layer.output_weight}) {
        *tensor = tensor->to(dtype);
      }
      const at::Tensor scores = testing::scorer(name)->score(layer);
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

TEST(Protect, OutranksEverything) {
  auto scores = at::tensor({1.F, 5.F, 2.F, 3.F}).view({1, 4});
  protect(scores, 1, 1);
  EXPECT_TRUE(at::equal(scores, at::tensor({6.F, 5.F, 2.F, 6.F}).view({1, 4})));
}

}  // namespace
}  // namespace kvbench
