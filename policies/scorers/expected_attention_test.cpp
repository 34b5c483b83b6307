#include <gtest/gtest.h>

#include <cmath>

#include "policies/kept.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

using testing::scorer;
using testing::view_of;

using Given = std::vector<Params::Given>;

// d = 2, one head, no rotation, sink 1. Queries behind the sink (1, 0), (3, 0): mean (2, 0),
// covariance diag(1, 0). Keys behind it (0, 0), (a, 7), values of length 1, 3.
LayerView by_hand(float a) {
  LayerView layer = view_of(at::tensor({9.F, 9.F, 0.F, 0.F, a, 7.F}).view({1, 3, 2}),
                            at::tensor({5.F, 5.F, 1.F, 0.F, 3.F, 0.F}).view({1, 3, 2}));
  layer.values = at::tensor({9.F, 9.F, 1.F, 0.F, 0.F, 3.F}).view({1, 3, 2});
  return layer;
}

TEST(ExpectedAttention, MeanAndCovarianceByHand) {
  // Mean only: z = (0, 2 a); a = ln(3) / 2 gives weights 1/4, 3/4.
  Given given = {{"n_sink", "1"}, {"use_covariance", "false"}, {"use_vnorm", "false"}};
  const auto by_mean = scorer("expected_attention", given)->score(by_hand(std::log(3.F) / 2));
  testing::expect_near(by_mean, at::tensor({1.75F, .25F, .75F}).view({1, 3}), 1e-6);
  // Covariance adds a^2 / 2: a = -2 gives z = (0, -4 + 2).
  given[1].text = "true";
  const float w = 1 / (1 + std::exp(-2.F));
  const auto both = scorer("expected_attention", given)->score(by_hand(-2));
  testing::expect_near(both, at::tensor({1 + w, w, 1 - w}).view({1, 3}), 1e-6);
}

TEST(ExpectedAttention, ValueNormAndEps) {
  const Given given = {{"n_sink", "1"}, {"use_covariance", "false"}, {"eps", "0.5"}};
  const auto scores = scorer("expected_attention", given)->score(by_hand(std::log(3.F) / 2));
  testing::expect_near(scores, at::tensor({4.75F, .75F, 3.75F}).view({1, 3}), 1e-5);
}

TEST(ExpectedAttention, SinksMayTakeTheirShare) {
  Given given = {{"n_sink", "1"}, {"use_covariance", "false"}, {"use_vnorm", "false"}};
  given.push_back({"softmax_over_sinks", "true"});
  LayerView layer = by_hand(std::log(3.F) / 2);
  layer.keys[0][0].copy_(at::tensor({std::log(4.F) / 2, 0.F}));  // z = ln 4: weights 4/8, 1/8, 3/8
  testing::expect_near(scorer("expected_attention", given)->score(layer),
                       at::tensor({1.375F, .125F, .375F}).view({1, 3}), 1e-6);
}

// One coming position: the mean rotation is the rotation by T * f.
TEST(ExpectedAttention, RotatesIntoTheFuture) {
  const Given given = {{"n_sink", "1"}, {"n_future", "1"}, {"use_vnorm", "false"}};
  LayerView layer = by_hand(1);
  const auto keys = at::tensor({0.F, 0.F, 0.3F, -1.F, 1.2F, 0.4F}).view({1, 3, 2});
  layer.keys = keys;
  layer.inverse_frequencies = at::tensor({0.7F});
  const auto got = scorer("expected_attention", given)->score(layer);
  // Keys turned back instead of queries turned forth.
  const double c = std::cos(3 * 0.7), s = std::sin(3 * 0.7);
  layer.keys = at::stack({keys.select(-1, 0) * c + keys.select(-1, 1) * s,
                          keys.select(-1, 1) * c - keys.select(-1, 0) * s},
                         -1);
  layer.inverse_frequencies = at::zeros({1});
  testing::expect_near(got, scorer("expected_attention", given)->score(layer), 1e-6);
}

// The formula of policies.md 2.8 in float64 with explicit matrices.
TEST(ExpectedAttention, FollowsTheFormula) {
  constexpr int64_t kTokens = 50, kSink = 4, kFuture = 16, d = 8;
  LayerView layer = testing::random_view(kTokens, d);
  layer.rope_factor = 1.1;
  at::Tensor rotation = at::zeros({d, d}, at::kDouble);
  for (int64_t t = kTokens; t < kTokens + kFuture; ++t) {
    for (int64_t i = 0; i < d / 2; ++i) {
      const double angle = static_cast<double>(t) * layer.inverse_frequencies[i].item<double>();
      rotation[i][i] += std::cos(angle) / kFuture;
      rotation[i + d / 2][i + d / 2] += std::cos(angle) / kFuture;
      rotation[i][i + d / 2] -= std::sin(angle) / kFuture;
      rotation[i + d / 2][i] += std::sin(angle) / kFuture;
    }
  }
  rotation *= layer.rope_factor;
  at::Tensor want = at::zeros({2, kTokens - kSink}, at::kDouble);
  for (int64_t q = 0; q < 4; ++q) {
    const auto queries = layer.queries_prerope[q].slice(0, kSink).to(at::kDouble);
    const auto keys = layer.keys[q / 2].slice(0, kSink).to(at::kDouble);
    const auto mean = queries.mean(0), centred = queries - mean;
    const auto covariance = at::matmul(centred.t(), centred) / (kTokens - kSink);
    const auto turned = at::matmul(rotation, at::matmul(covariance, rotation.t()));
    const auto z =
        at::mv(keys, at::mv(rotation, mean)) * layer.attention_scale +
        (at::matmul(keys, turned) * keys).sum(-1) * std::pow(layer.attention_scale, 2) / 2;
    want[q / 2] += z.softmax(-1) / 2;
  }
  want = (want + 0.02) * layer.values.slice(1, kSink).to(at::kDouble).norm(2, {-1});
  const auto scores =
      scorer("expected_attention", {{"eps", "0.02"}, {"n_future", "16"}})->score(layer);
  testing::expect_near(scores.slice(1, kSink), want, 1e-6);
  EXPECT_EQ(select_top(scores, {4, 4}).positions, (std::vector<int64_t>{0, 1, 2, 3, 0, 1, 2, 3}));
}

TEST(ExpectedAttention, RefusesShortContextsAndBadParameters) {
  EXPECT_THROW(scorer("expected_attention")->score(testing::random_view(4)), InputError);
  EXPECT_NO_THROW(scorer("expected_attention")->score(testing::random_view(5)));
  EXPECT_THROW(scorer("expected_attention", {{"n_future", "0"}}), InputError);
  EXPECT_THROW(scorer("expected_attention", {{"eps", "-1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
