#include "harness/model/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace kvbench {
namespace {

class LinearTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(1); }

  static at::Tensor uniform(at::IntArrayRef sizes) {
    return (at::rand(sizes) * 2 - 1).to(GetParam());
  }
  static at::Tensor product(const Linear& linear, const at::Tensor& x) {
    auto sizes = x.sizes().vec();
    sizes.back() = linear.n_out();
    at::Tensor out = at::empty(sizes, x.options());
    linear(x, out);
    return out;
  }
};

TEST_P(LinearTest, EqualsTheProductInDouble) {
  // Relative to the number of summands; bfloat16: rounding of results of up to about 10.
  const double tolerance = GetParam() == at::kFloat ? 1e-6 : 2e-3;
  for (const auto& sizes : {std::vector<int64_t>{1, 33},
                            {7, 33},
                            {1, 64, 33},
                            {1, 65, 33},
                            {3, 65, 33},
                            {2, 300, 33}}) {
    for (const bool has_bias : {false, true}) {
      const at::Tensor x = uniform(sizes), weight = uniform({47, 33});
      const at::Tensor bias = has_bias ? uniform({47}) : at::Tensor();
      const at::Tensor got = product(Linear(weight, bias), x);
      const at::Tensor want = at::linear(x.to(at::kDouble), weight.to(at::kDouble),
                                         has_bias ? bias.to(at::kDouble) : at::Tensor());
      EXPECT_EQ(got.scalar_type(), x.scalar_type());
      ASSERT_EQ(got.sizes(), want.sizes());
      EXPECT_LE((got.to(at::kDouble) - want).abs().max().item<double>() / 33, tolerance);
    }
  }
}

TEST_P(LinearTest, TakesAnyLayoutOfTheInput) {
  const at::Tensor x = uniform({2, 6, 40}), weight = uniform({24, 40});
  const at::Tensor want = product(Linear(weight), x);
  EXPECT_TRUE(at::equal(product(Linear(weight), x.select(1, 5)), want.select(1, 5)));
  EXPECT_TRUE(at::equal(product(Linear(weight), x.transpose(0, 1)), want.transpose(0, 1)));
}

// To the bit, of few tokens and of many, on any number of threads.
TEST_P(LinearTest, ASequenceGetsTheSameInAnyCompany) {
  const int before = at::get_num_threads();
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{576, 96}, {1536, 64}}) {
    const at::Tensor weight = uniform({out, in});
    const Linear linear(weight);
    for (const int64_t m : {1, 2, 40, 64, 65, 200}) {
      const at::Tensor x = uniform({m < 65 ? 64 : 7, m, in});
      at::set_num_threads(1);
      const at::Tensor first = product(linear, x.narrow(0, 0, 1));
      for (const int threads : {1, 2}) {
        at::set_num_threads(threads);
        for (const int64_t n : {1, 2, 7, 19, 64}) {
          if (n > x.size(0)) continue;
          EXPECT_TRUE(at::equal(product(linear, x.narrow(0, 0, n)).narrow(0, 0, 1), first))
              << m << " tokens of " << n << " sequences, " << threads << " threads";
        }
      }
    }
  }
  at::set_num_threads(before);
}

TEST_P(LinearTest, ItsWeightComesBack) {
  const at::Tensor weight = uniform({70, 5}), ids = at::tensor({69, 0}, at::kLong);
  const Linear linear(weight, uniform({70}));
  EXPECT_TRUE(at::equal(linear.weight(), weight));
  EXPECT_EQ(linear.n_bytes(), (70 * 5 + 70) * static_cast<int64_t>(weight.element_size()));
  const at::Tensor rows = at::empty({2, 5}, weight.options());
  linear.rows(ids, rows);
  EXPECT_TRUE(at::equal(rows, weight.index_select(0, ids)));
}

INSTANTIATE_TEST_SUITE_P(DTypes, LinearTest, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

}  // namespace
}  // namespace kvbench
