#include "policies/attention_sums.h"

#include <gtest/gtest.h>

#include "kernels/window_scores/window_scores_torch.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

TEST(AttentionSums, WindowVotesOfPlainWeights) {
  const LayerView layer = testing::random_view(33);
  const at::Tensor weights = testing::attention_weights(layer);
  for (const int64_t window : {1, 7, 32}) {
    const int64_t n = 33 - window;
    testing::expect_near(window_scores(latest_queries(layer, window), layer.keys,
                                       layer.attention_scale, "max", 1, "pool_first", "none"),
                         weights.narrow(1, n, window).narrow(2, 0, n).mean(1), 1e-6);
  }
}

// 1200 tokens of 4 query heads take several blocks, the last one shorter.
TEST(AttentionSums, ColumnSumsOfPlainWeightsOverBlocks) {
  for (const int64_t n_tokens : {1, 5, 1200}) {
    const LayerView layer = testing::random_view(n_tokens);
    const at::Tensor want = testing::attention_weights(layer).sum(1).view({2, 2, n_tokens}).mean(1);
    testing::expect_near(attention_column_sums(layer), want, 2e-5 * want.max().item<double>());
  }
}

TEST(AttentionSums, RaisedWindowIsOrderedAndAboveTheRest) {
  auto scores = at::tensor({-3.F, -1.F, 9.F, 9.F, -2.F, -5.F, 9.F, 9.F}).view({2, 4});
  raise_window(scores, 2);
  EXPECT_TRUE(at::equal(scores.narrow(1, 0, 2), at::tensor({-3.F, -1.F, -2.F, -5.F}).view({2, 2})));
  for (int64_t h = 0; h < 2; ++h) {
    EXPECT_EQ(scores[h][2].item<float>(), 0.F);  // maximum of both heads + 1
    EXPECT_GT(scores[h][3].item<float>(), 0.F);
  }
  const auto before = scores.clone();
  raise_window(scores, 0);
  EXPECT_TRUE(at::equal(scores, before));
}

}  // namespace
}  // namespace kvbench
