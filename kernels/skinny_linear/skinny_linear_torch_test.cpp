#include "kernels/skinny_linear/skinny_linear_torch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/common/checks_torch.h"
#include "kernels/skinny_linear/skinny_linear.h"

namespace kvbench {
namespace {

class SkinnyLinearTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(1); }

  static at::Tensor uniform(at::IntArrayRef sizes) {
    return (at::rand(sizes) * 2 - 1).to(GetParam());
  }
  static at::Tensor reference(const at::Tensor& x, const at::Tensor& weight,
                              const at::Tensor& bias) {
    at::Tensor out = at::empty({x.size(0), weight.size(0)}, x.options());
    skinny_linear_reference({x.size(0), x.size(1), weight.size(0), dtype_of(x), x.const_data_ptr(),
                             weight.const_data_ptr(), bias.const_data_ptr(),
                             out.mutable_data_ptr()});
    return out;
  }
};

TEST_P(SkinnyLinearTest, EqualsTheSumsInDouble) {
  // Sums of up to 300 terms below 1; half precisions: one rounding of results below 16.
  const double tolerance = GetParam() == at::kFloat ? 1e-5 : GetParam() == at::kHalf ? 8e-3 : 6e-2;
  for (const int64_t rows : {1, 2, 3, 4, 5, 19, 67}) {
    for (const auto& [in, out] :
         {std::pair<int64_t, int64_t>{1, 1}, {15, 33}, {64, 96}, {300, 31}}) {
      const at::Tensor x = uniform({rows, in}), weight = uniform({out, in}), bias = uniform({out});
      const at::Tensor want = reference(x, weight, bias).to(at::kDouble);
      const at::Tensor got = skinny_linear(x, weight, bias).to(at::kDouble);
      EXPECT_LE((got - want).abs().max().item<double>(), tolerance)
          << rows << " " << in << " " << out;
    }
  }
}

TEST_P(SkinnyLinearTest, ARowIsTheSameInAnyCompanyAndOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{576, 200}, {1536, 576}, {77, 50}}) {
    const at::Tensor x = uniform({64, in}), weight = uniform({out, in});
    at::set_num_threads(1);
    const at::Tensor all = skinny_linear(x, weight, {});
    for (const int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      for (const int64_t rows : {1, 2, 3, 7, 19, 64}) {
        EXPECT_TRUE(at::equal(skinny_linear(x.narrow(0, 64 - rows, rows), weight, {}),
                              all.narrow(0, 64 - rows, rows)))
            << rows << " rows, " << threads << " threads";
      }
    }
  }
  at::set_num_threads(before);
}

TEST_P(SkinnyLinearTest, TakesAnyLayoutOfTheInput) {
  const at::Tensor x = uniform({2, 6, 40}), weight = uniform({24, 40});
  EXPECT_EQ(skinny_linear(x, weight, {}).sizes(), (std::vector<int64_t>{2, 6, 24}));
  EXPECT_TRUE(at::equal(skinny_linear(x.transpose(0, 1), weight, {}),
                        skinny_linear(x, weight, {}).transpose(0, 1)));
  EXPECT_EQ(skinny_linear(uniform({0, 40}), weight, {}).sizes(), (std::vector<int64_t>{0, 24}));
}

TEST_P(SkinnyLinearTest, NanComesOut) {
  at::Tensor x = uniform({5, 40});
  x[3][39] = NAN;
  const at::Tensor is_nan = skinny_linear(x, uniform({24, 40}), {}).isnan().all(1);
  EXPECT_TRUE(at::equal(is_nan, at::tensor({0, 0, 0, 1, 0}).to(at::kBool)));
}

TEST(SkinnyLinear, RefusesWhatDoesNotFit) {
  const at::Tensor x = at::zeros({2, 4}), weight = at::zeros({3, 4});
  EXPECT_THROW(skinny_linear(x, at::zeros({3, 5}), {}), c10::Error);
  EXPECT_THROW(skinny_linear(x, weight.to(at::kHalf), {}), c10::Error);
  EXPECT_THROW(skinny_linear(x, weight.t(), {}), c10::Error);
  EXPECT_THROW(skinny_linear(x, weight, at::zeros({4})), c10::Error);
}

INSTANTIATE_TEST_SUITE_P(DTypes, SkinnyLinearTest,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

}  // namespace
}  // namespace kvbench
