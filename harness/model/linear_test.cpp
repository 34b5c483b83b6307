#include "harness/model/linear.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace kvbench {
namespace {

class LinearTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(1); }

  // Largest difference from the product in float64 over inputs in [-1, 1), relative to the number
  // of summands.
  static double error(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                      Linear::Rounding rounding = Linear::Rounding::kAny) {
    const at::Tensor got = Linear(weight, bias, rounding)(x);
    const at::Tensor want = at::linear(x.to(at::kDouble), weight.to(at::kDouble),
                                       bias.defined() ? bias.to(at::kDouble) : at::Tensor());
    EXPECT_EQ(got.scalar_type(), x.scalar_type());
    EXPECT_EQ(got.sizes(), want.sizes());
    return (got.to(at::kDouble) - want).abs().max().item<double>() /
           static_cast<double>(x.size(-1));
  }
  static at::Tensor uniform(at::IntArrayRef sizes) {
    return (at::rand(sizes) * 2 - 1).to(GetParam());
  }
  // bfloat16 and float16: rounding of results of up to about 10.
  static double tolerance() { return GetParam() == at::kFloat ? 1e-6 : 2e-3; }
};

TEST_P(LinearTest, EqualsTheProductInDouble) {
  for (const int64_t rows : {1, 2, 7, 64, 65, 300}) {
    for (const auto& [in, out] : {std::pair<int64_t, int64_t>{1, 1}, {33, 47}, {64, 96}}) {
      for (const auto rounding : {Linear::Rounding::kAny, Linear::Rounding::kLikeLibTorch}) {
        EXPECT_LE(error(uniform({rows, in}), uniform({out, in}), {}, rounding), tolerance())
            << rows << " " << in << " " << out;
      }
    }
  }
}

TEST_P(LinearTest, AddsTheBias) {
  EXPECT_LE(error(uniform({5, 32}), uniform({48, 32}), uniform({48})), tolerance());
}

TEST_P(LinearTest, TakesAnyLayoutOfTheInput) {
  const at::Tensor x = uniform({2, 6, 40});
  const at::Tensor weight = uniform({24, 40});
  EXPECT_LE(error(x, weight, {}), tolerance());
  EXPECT_LE(error(x.select(1, 5), weight, {}), tolerance());
  EXPECT_LE(error(x.transpose(0, 1), weight, {}), tolerance());
  EXPECT_LE(error(x.narrow(2, 8, 24), uniform({24, 24}), {}), tolerance());
}

// float32 to the bit; bfloat16, where oneDNN may choose another kernel, within its last place.
TEST_P(LinearTest, RoundsLikeLibTorchUnlessToldOtherwise) {
  for (const int64_t rows : {Linear::kFewTokens + 1, int64_t{300}}) {
    const at::Tensor x = uniform({1, rows, 576}), weight = uniform({960, 576});
    const at::Tensor got = Linear(weight)(x), want = at::linear(x, weight);
    const double last_place = GetParam() == at::kFloat ? 0 : 0x1p-8;
    EXPECT_LE((got - want).abs().max().item<double>(), last_place * want.abs().max().item<double>())
        << rows;
  }
}

// However many sequences: each gets what it gets alone, by the packed weight.
TEST_P(LinearTest, ManySequencesOfFewTokensStayPacked) {
  const at::Tensor weight = uniform({960, 576});
  const Linear like_libtorch(weight), any(weight, {}, Linear::Rounding::kAny);
  for (const auto& sizes : {std::vector<int64_t>{200, 576}, {200, 1, 576}, {9, 40, 576}}) {
    const at::Tensor x = uniform(sizes);
    EXPECT_TRUE(at::equal(like_libtorch(x), any(x)));
  }
}

TEST_P(LinearTest, CountsBytes) {
  const auto size = static_cast<int64_t>(c10::elementSize(GetParam()));
  const Linear any(uniform({3, 5}), {}, Linear::Rounding::kAny);
  EXPECT_EQ(any.bytes(), 15 * size);
  EXPECT_EQ(Linear(uniform({3, 5}), uniform({3}), Linear::Rounding::kAny).bytes(), 18 * size);
  const bool both = GetParam() == at::kFloat && any.is_packed();
  EXPECT_EQ(Linear(uniform({3, 5})).bytes(), (both ? 2 : 1) * 15 * size);
}

INSTANTIATE_TEST_SUITE_P(DTypes, LinearTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

}  // namespace
}  // namespace kvbench
