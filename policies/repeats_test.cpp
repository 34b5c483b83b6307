#include "policies/repeats.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "policies/scorers/testing.h"
#include "policies/virtual_repeat.h"

namespace kvbench {
namespace {

using Ids = std::vector<int32_t>;

// A request's ids are -1 (the first one's) or -2 and -3.
ContextFrame frame(int64_t n_head) {
  return {n_head, {-7, -8}, [](const std::string& text) {
            return text.ends_with("exactly.") ? Ids{-1} : Ids{-2, -3};
          }};
}

Ids ids(int64_t first, int64_t end) {
  Ids all(static_cast<size_t>(end - first));
  std::iota(all.begin(), all.end(), static_cast<int32_t>(first));
  return all;
}

TEST(Repeats, ChunksFromTheHeadOn) {
  const auto repeats = repeats_of(ids(0, 13), frame(3), 5, /*fit_first=*/false);
  ASSERT_EQ(repeats.size(), 2u);
  EXPECT_EQ(repeats[0].ids, (Ids{-1, -7, -8, 3, 4, 5, 6, 7}));
  EXPECT_EQ(repeats[0].n_before(), 3);
  // The later request ends with up to eight tokens of the chunk before.
  EXPECT_EQ(repeats[1].ids, (Ids{-2, -3, 3, 4, 5, 6, 7, -7, -8, 8, 9, 10, 11, 12}));
  EXPECT_EQ(repeats[1].begin, 8);
  EXPECT_EQ(repeats[1].end, 13);
  const auto longer = repeats_of(ids(0, 40), frame(0), 20, /*fit_first=*/false);
  EXPECT_EQ(Ids(longer[1].ids.begin() + 2, longer[1].ids.begin() + 10), ids(12, 20));
}

TEST(Repeats, TheFirstWholeRepeatFits) {
  const auto repeats = repeats_of(ids(0, 20), frame(0), 8, /*fit_first=*/true);
  ASSERT_EQ(repeats.size(), 3u);
  EXPECT_EQ(repeats[0].n_tokens(), 8);
  EXPECT_EQ(repeats[0].end, 5);
  EXPECT_EQ(repeats[1].end, 13);
  EXPECT_EQ(repeats[2].end, 20);
  EXPECT_EQ(repeats_of(ids(0, 3), frame(0), 2, true)[0].end, 1);  // one token at least
}

TEST(Repeats, NothingBehindTheHead) {
  EXPECT_TRUE(repeats_of(ids(0, 3), frame(3), 5, false).empty());
  EXPECT_TRUE(repeats_of(ids(0, 2), frame(3), 5, false).empty());
  EXPECT_THROW(repeats_of(ids(0, 3), {}, 5, false), InputError);
}

// Without request and tail the chunk's first token stands at T, as if the prefill were turned.
TEST(Repeats, VirtualOnesAreRealOnesOfTurnedTokens) {
  const LayerView layer = testing::random_view(12);
  const Repeat repeat = {5, 12, ids(5, 12)};
  const auto turned = [&](const at::Tensor& x) {  // T - 5 positions on
    const int64_t d = x.size(2);
    at::Tensor out = at::empty_like(x);
    for (int64_t i = 0; i < d / 2; ++i) {
      const double angle = (12 - 5) * layer.inverse_frequencies[i].item<double>();
      const at::Tensor a = x.select(2, i), b = x.select(2, i + d / 2);
      out.select(2, i).copy_(a * std::cos(angle) - b * std::sin(angle));
      out.select(2, i + d / 2).copy_(b * std::cos(angle) + a * std::sin(angle));
    }
    return out;
  };
  LayerView pass = layer;
  pass.queries = turned(layer.queries.narrow(1, 5, 7));
  pass.keys = at::cat({layer.keys, turned(layer.keys.narrow(1, 5, 7))}, 1);
  testing::expect_near(virtual_repeat_scores(layer, repeat, 4), repeat_scores(pass, repeat, 4),
                       1e-5);
}

TEST(Repeats, PlusWeighsByValueAndQuery) {
  LayerView layer = testing::random_view(10);
  layer.keys = at::cat({layer.keys, at::randn({2, 3, 8})}, 1);
  layer.values = at::cat({layer.values, at::randn({2, 3, 8})}, 1);
  layer.queries = at::randn({4, 3, 8});
  const Repeat repeat = {2, 10, {0, 0, 0}};
  const at::Tensor plain = repeat_scores(layer, repeat, 4);
  EXPECT_EQ(plain.sizes(), at::IntArrayRef({2, 8}));
  // Hidden states of norm 2 halve all; values twice as large double all.
  const at::Tensor hidden = at::full({3, 4}, 1.0);
  const at::Tensor plus = repeat_scores(layer, repeat, 4, hidden);
  testing::expect_near(repeat_scores(layer, repeat, 4, hidden * 2), plus / 2, 1e-6);
  layer.values = layer.values * 2;
  testing::expect_near(repeat_scores(layer, repeat, 4, hidden), plus * 2, 1e-5);
}

TEST(Repeats, FirstTokensAreAboveAllLayers) {
  Params params;
  RepeatRule rule(params);
  rule.sinks = 2;
  std::vector<at::Tensor> scores = {at::full({2, 5}, 0.25), at::full({2, 5}, 7.0)};
  raise_first(scores, rule, 3);
  for (const at::Tensor& layer : scores) {
    EXPECT_EQ(layer.narrow(1, 0, 2).min().item<float>(), 8);
    EXPECT_LE(layer.narrow(1, 2, 3).max().item<float>(), 7);
  }
  rule.keep_head = true;
  scores = {at::full({2, 5}, 0.25)};
  raise_first(scores, rule, 3);
  EXPECT_EQ(scores[0].narrow(1, 0, 3).min().item<float>(), 1.25);
  EXPECT_EQ(scores[0].narrow(1, 3, 2).max().item<float>(), 0.25);
}

TEST(QuantileMap, InterpolatesAndClamps) {
  const at::Tensor source = at::tensor({3.F, 1.F, 2.F}).view({1, 3});
  const at::Tensor target = at::tensor({10.F, 40.F, 20.F}).view({1, 3});
  const at::Tensor values = at::tensor({0.F, 1.F, 1.5F, 2.5F, 3.F, 9.F}).view({1, 6});
  testing::expect_near(quantile_map(source, target, values),
                       at::tensor({10.F, 10.F, 15.F, 30.F, 40.F, 40.F}).view({1, 6}), 1e-5);
  testing::expect_near(quantile_map(at::ones({1, 1}), at::full({1, 1}, 5.0), values),
                       at::full({1, 6}, 5.0), 0);
}

}  // namespace
}  // namespace kvbench
