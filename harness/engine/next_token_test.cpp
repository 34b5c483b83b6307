#include "harness/engine/next_token.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace kvbench {
namespace {

TEST(SampleToken, GreedyTakesTheFirstOfEqualMaxima) {
  Random random(1);
  EXPECT_EQ(sample_token(at::tensor({1.F, 3.F, 3.F}), {}, random), 1);
}

TEST(SampleToken, FrequenciesFollowTheSoftmax) {
  constexpr int kDraws = 20000;
  const double temperature = 0.5;
  const at::Tensor logits = at::tensor({0.F, 0.5F, -1.F});
  Random random(7);
  std::vector<int> counts(3, 0);
  for (int i = 0; i < kDraws; ++i) ++counts[sample_token(logits, {temperature}, random)];
  const at::Tensor want = (logits / temperature).softmax(0);
  // Four standard deviations of a frequency of one half.
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(counts[i] / static_cast<double>(kDraws), want[i].item<double>(),
                2 / std::sqrt(kDraws));
  }
}

TEST(SampleToken, TopPDrawsAmongTheFewestThatReachIt) {
  // Probabilities 0.5, 0.2, 0.2, 0.1: of the equal ones the lower comes in first.
  const at::Tensor logits = at::tensor({0.1, 0.2, 0.5, 0.2}).log().to(at::kFloat);
  const auto seen = [&](double top_p) {
    Random random(3);
    std::set<int64_t> ids;
    for (int i = 0; i < 500; ++i) ids.insert(sample_token(logits, {1, top_p}, random));
    return ids;
  };
  EXPECT_EQ(seen(1), (std::set<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(seen(0.85), (std::set<int64_t>{1, 2, 3}));
  EXPECT_EQ(seen(0.65), (std::set<int64_t>{1, 2}));
  EXPECT_EQ(seen(0.4), (std::set<int64_t>{2}));
  EXPECT_EQ(seen(1e-9), (std::set<int64_t>{2}));
}

TEST(SampleToken, RefusesNaN) {
  Random random(1);
  EXPECT_THROW(sample_token(at::tensor({0.F, NAN}), {1}, random), std::runtime_error);
}

TEST(MostLikely, TiesGoToTheLowerIdAndNaNIsFoundWhereverItStands) {
  const at::Tensor logits = at::tensor({1.F,  3.F,  3.F,  0.F,  //
                                        NAN,  3.F,  3.F,  0.F,  //
                                        1.F,  3.F,  NAN,  0.F,  //
                                        1.F,  3.F,  3.F,  NAN,  //
                                        -1.F, -3.F, -1.F, -2.F})
                                .view({5, 4});
  const std::vector<std::optional<int64_t>> want = {1, {}, {}, {}, 0};
  EXPECT_EQ(most_likely(logits), want);
}

}  // namespace
}  // namespace kvbench
