#include "kernels/causal_softmax_sums_torch.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace kvbench {
namespace {

at::Tensor plain_sums(const at::Tensor& logits) {
  const int64_t n_queries = logits.size(1), n_keys = logits.size(2);
  const auto future = at::ones({n_queries, n_keys}, at::kBool).triu(n_keys - n_queries + 1);
  return logits.to(at::kDouble).masked_fill(future, -INFINITY).softmax(-1).sum(1);
}

TEST(CausalSoftmaxSums, EqualsPlainSumsInDouble) {
  at::manual_seed(1);
  for (const auto& [n_heads, n_queries, n_keys] :
       {std::array<int64_t, 3>{1, 1, 1}, {2, 5, 5}, {3, 7, 33}, {9, 16, 1000}, {9, 28, 4096}}) {
    const at::Tensor logits = at::randn({n_heads, n_queries, n_keys}) * 3;
    const at::Tensor want = plain_sums(logits);
    for (const auto& op : {causal_softmax_sums, causal_softmax_sums_composite}) {
      const at::Tensor got = op(logits);
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_TRUE(((got - want).abs() <= 2e-6 * want + 1e-9).all().item<bool>());
    }
  }
}

// One weight takes all; what is hidden may be anything.
TEST(CausalSoftmaxSums, ExtremesAndHiddenLogits) {
  at::Tensor logits = at::full({1, 2, 40}, -1e4F);
  logits[0][0][3] = 1e4F;
  logits[0][1][39] = 1e4F;
  logits[0][0][39] = NAN;
  at::Tensor want = at::zeros({1, 40});
  want[0][3] = want[0][39] = 1;
  EXPECT_TRUE(at::allclose(causal_softmax_sums(logits), want, 0, 1e-20));
  EXPECT_TRUE(at::allclose(causal_softmax_sums_composite(logits), want, 0, 1e-20));
}

// A NaN is the answer of every key that its query sees.
TEST(CausalSoftmaxSums, NanComesOut) {
  at::Tensor logits = at::zeros({2, 3, 40});
  logits[0][1][7] = NAN;
  const at::Tensor is_nan = causal_softmax_sums(logits).isnan();
  EXPECT_TRUE(is_nan[0].narrow(0, 0, 39).all().item<bool>());
  EXPECT_FALSE(is_nan[0][39].item<bool>());
  EXPECT_FALSE(is_nan[1].any().item<bool>());
}

TEST(CausalSoftmaxSums, RefusesWhatDoesNotFit) {
  EXPECT_THROW(causal_softmax_sums(at::zeros({2, 3})), c10::Error);
  EXPECT_THROW(causal_softmax_sums(at::zeros({1, 3, 2})), c10::Error);
  EXPECT_THROW(causal_softmax_sums(at::zeros({1, 2, 3}, at::kDouble)), c10::Error);
  EXPECT_THROW(causal_softmax_sums_composite(at::zeros({2, 3})), c10::Error);
}

}  // namespace
}  // namespace kvbench
