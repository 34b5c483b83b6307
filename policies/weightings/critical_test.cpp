#include <gtest/gtest.h>

#include "policies/kept.h"
#include "policies/scorers/testing.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

std::unique_ptr<Weighting> critical(std::vector<Params::Given> given = {}) {
  return testing::make_part<Weighting>("critical", std::move(given));
}

// g itself: no first stage, scores 0, eps 1, and every token kept.
at::Tensor norms_of(const LayerView& layer) {
  const auto zeros = at::zeros({layer.n_kv_heads(), layer.n_tokens()});
  const std::vector<int64_t> counts(layer.n_kv_heads(), layer.n_tokens());
  return critical({{"eps", "1"}, {"first_stage_ratio", "0"}})->weigh(layer, zeros, counts);
}

TEST(Critical, ProjectedNormsByHand) {
  // One KV head, two query heads, d = 1, D = 2: W_O^(0) = (1, -2), W_O^(1) = (0, 5).
  LayerView layer = testing::view_of(at::zeros({1, 3, 1}), at::zeros({2, 3, 1}));
  layer.values = at::tensor({1.F, -2.F, 0.F}).view({1, 3, 1});
  layer.output_weight = at::tensor({1.F, 0.F, -2.F, 5.F}).view({2, 2});
  // (|v| + 2 |v|) and 5 |v|: mean 4 |v|.
  testing::expect_near(norms_of(layer), at::tensor({4.F, 8.F, 0.F}).view({1, 3}), 1e-6);
}

TEST(Critical, ProjectedNormsOfEachHead) {
  const LayerView layer = testing::random_view(40);
  const auto values = layer.values.repeat_interleave(2, 0);                          // [4, T, d]
  const auto projections = layer.output_weight.view({24, 4, 8}).permute({1, 2, 0});  // [4, d, D]
  const auto want = at::matmul(values, projections).abs().sum(-1).view({2, 2, 40}).mean(1);
  testing::expect_near(norms_of(layer), want, 1e-4);
}

// The kept ones are those of the highest products, negative scores among them.
TEST(Critical, KeepsTheHighestOfAllProducts) {
  const LayerView layer = testing::random_view(200);
  const auto norms = norms_of(layer);
  for (const double shift : {0.0, -0.5}) {  // scores of some methods are negative
    const auto scores = at::rand({2, 200}).pow(3) + shift;
    for (const int64_t count : {1, 30, 199}) {
      const std::vector<int64_t> counts(2, count);
      const auto weighed =
          critical({{"eps", "0"}, {"first_stage_ratio", "0"}})->weigh(layer, scores, counts);
      EXPECT_EQ(select_top(weighed, counts).positions,
                select_top(scores * norms, counts).positions);
    }
  }
}

// Scores of 6 tokens, all with g = |v|. Budget 4: the two highest scores are forced in, the other
// two follow (s + eps) g.
TEST(Critical, HalfByScoreHalfByWeight) {
  LayerView layer = testing::view_of(at::zeros({1, 6, 1}), at::zeros({1, 6, 1}));
  layer.values = at::tensor({.01F, .01F, 1.F, 2.F, 9.F, 30.F}).view({1, 6, 1});
  const auto scores = at::tensor({6.F, 5.F, 4.F, 3.F, 2.F, 0.F}).view({1, 6});
  const auto weighed = critical()->weigh(layer, scores, {4});
  EXPECT_EQ(select_top(weighed, {4}).positions, (std::vector<int64_t>{0, 1, 3, 4}));
  // eps lets a token of score 0 in: 0.7 * 30 = 21 beats all but (2 + 0.7) * 9.
  const auto with_eps = critical({{"eps", "0.7"}})->weigh(layer, scores, {4});
  EXPECT_EQ(select_top(with_eps, {4}).positions, (std::vector<int64_t>{0, 1, 4, 5}));
}

TEST(Critical, FirstStageIsRoundedDownButNeverEmpty) {
  LayerView layer = testing::view_of(at::zeros({2, 4, 1}), at::zeros({2, 4, 1}));
  layer.values = at::tensor({0.F, 1.F, 2.F, 3.F, 0.F, 0.F, 2.F, 3.F}).view({2, 4, 1});
  layer.output_weight = at::ones({1, 2});
  const auto scores = at::tensor({4.F, 3.F, 2.F, 1.F, 4.F, 3.F, 2.F, 1.F}).view({2, 4});
  // Head 0 keeps one token, the first stage's; head 1 three, one of them the first stage's.
  const auto weighed = critical()->weigh(layer, scores, {1, 3});
  EXPECT_EQ(select_top(weighed, {1, 3}).positions, (std::vector<int64_t>{0, 0, 2, 3}));
}

TEST(Critical, RefusesBadParameters) {
  EXPECT_THROW(critical({{"first_stage_ratio", "1.5"}}), InputError);
  EXPECT_THROW(critical({{"eps", "-1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
