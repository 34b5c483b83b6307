// Competition over layers on scores worked by hand.
#include <gtest/gtest.h>

#include "policies/allocator.h"
#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

using Layers = std::vector<std::vector<int64_t>>;

Layers global(const std::vector<at::Tensor>& scores, double ratio,
              std::vector<Params::Given> given = {}) {
  std::vector<LayerBudget> budgets;
  const auto n_layers = static_cast<int64_t>(scores.size());
  for (int64_t l = 0; l < n_layers; ++l) {
    budgets.push_back(budget_of(scores[l], ratio, l, n_layers));
  }
  const auto allocator = make_allocator("global", std::move(given));
  EXPECT_TRUE(allocator->spans_layers());
  Layers layers;
  for (const auto& counts : allocator->allocate_layers(budgets)) layers.push_back(counts.on_host());
  return layers;
}

TEST(Global, TheBestOfAllLayersStay) {
  // 8 of 16 are kept: one of each head for certain, then 9, 8, 7 and 6.
  const auto first = at::tensor({9.F, 1.F, 1.F, 1.F, 1.F, 0.F, 0.F, 0.F}).view({2, 4});
  const auto second = at::tensor({8.F, 7.F, 6.F, 5.F, 4.F, 3.F, 0.F, 0.F}).view({2, 4});
  EXPECT_EQ(global({first, second}, 0.5), (Layers{{1, 1}, {4, 2}}));
}

TEST(Global, TiesGoToTheLowerLayerThenHead) {
  EXPECT_EQ(global({at::zeros({2, 4}), at::zeros({2, 4})}, 0.5), (Layers{{4, 2}, {1, 1}}));
}

// Of 18 entries in 3 heads 0.8 removes 14; of 6 in each head all but 1.
TEST(Global, RoundsTheTotalOnce) {
  const std::vector<at::Tensor> scores = {at::arange(12, at::kFloat).view({2, 6}),
                                          at::arange(6, at::kFloat).view({1, 6})};
  EXPECT_EQ(global(scores, 0.8), (Layers{{1, 1}, {1}}));
  EXPECT_EQ(global(scores, 0.8, {{"total", "entries"}}), (Layers{{1, 2}, {1}}));
  EXPECT_EQ(global(scores, 0.99, {{"total", "entries"}}), (Layers{{1, 1}, {1}}));
}

TEST(Global, EveryHeadKeepsOne) {
  EXPECT_EQ(global({at::zeros({1, 10}), at::ones({1, 10})}, 0.9), (Layers{{1}, {1}}));
}

// 2 layers of 1 head and 7 tokens: trunc(7 * 0.5) twice is 6, 14 - trunc(14 * 0.5) is 7.
TEST(Global, TheTotalMayCountEntries) {
  const std::vector<at::Tensor> scores = {at::ones({1, 7}), at::zeros({1, 7})};
  EXPECT_EQ(global(scores, 0.5), (Layers{{5}, {1}}));
  EXPECT_EQ(global(scores, 0.5, {{"total", "entries"}}), (Layers{{6}, {1}}));
  EXPECT_EQ(global(scores, 0.99, {{"total", "entries"}}), (Layers{{1}, {1}}));
  EXPECT_EQ(global(scores, 0.5, {{"total", "entries"}, {"capacity", "2"}}), (Layers{{3}, {1}}));
}

}  // namespace
}  // namespace kvbench
