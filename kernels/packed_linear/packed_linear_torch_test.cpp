#include "kernels/packed_linear/packed_linear_torch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/common/checks_torch.h"
#include "kernels/packed_linear/packed_linear.h"

namespace kvbench {
namespace {

class PackedLinearTest : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override { at::manual_seed(1); }

  static at::Tensor uniform(at::IntArrayRef sizes) {
    return (at::rand(sizes) * 2 - 1).to(GetParam());
  }
  static at::Tensor product(const at::Tensor& x, const at::Tensor& weight,
                            const std::optional<at::Tensor>& bias = {}) {
    return packed_linear(x, pack_weight(weight), weight.size(0), bias);
  }
};

// In double, of the weight as it was given: a wrong place in the packed one would show.
TEST_P(PackedLinearTest, EqualsTheSumsInDouble) {
  // Sums of up to 5000 terms below 1; half precisions: one rounding of the result.
  const double tolerance = GetParam() == at::kFloat ? 1e-4 : GetParam() == at::kHalf ? 1e-3 : 8e-3;
  for (const int64_t rows : {1, 2, 3, 4, 5, 8, 19, 67, 300}) {
    for (const auto& [in, out] :
         {std::pair<int64_t, int64_t>{1, 1}, {15, 33}, {64, 96}, {300, 31}, {5001, 130}}) {
      const at::Tensor x = uniform({rows, in}), weight = uniform({out, in}), bias = uniform({out});
      const at::Tensor want =
          at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      const at::Tensor got = product(x, weight, bias).to(at::kDouble);
      const at::Tensor error = (got - want).abs() - tolerance * want.abs();
      EXPECT_LE(error.max().item<double>(), 1e-4) << rows << " " << in << " " << out;
    }
  }
}

TEST_P(PackedLinearTest, EqualsTheReference) {
  const at::Tensor x = uniform({6, 77}), weight = uniform({70, 77}), bias = uniform({70});
  const at::Tensor packed = pack_weight(weight), got = packed_linear(x, packed, 70, bias);
  at::Tensor want = at::empty_like(got);
  packed_linear_reference({6, 77, 70, dtype_of(x), dtype_of(packed), x.const_data_ptr(),
                           packed.const_data_ptr(), bias.const_data_ptr(),
                           want.mutable_data_ptr()});
  const double tolerance = GetParam() == at::kFloat ? 1e-5 : 6e-2;
  EXPECT_LE((got - want).abs().max().item<double>(), tolerance);
}

TEST_P(PackedLinearTest, ARowIsTheSameInAnyCompanyAndOnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const auto& [in, out] :
       {std::pair<int64_t, int64_t>{576, 200}, {1536, 576}, {77, 50}, {5000, 40}}) {
    const at::Tensor x = uniform({700, in}), packed = pack_weight(uniform({out, in}));
    at::set_num_threads(1);
    const at::Tensor all = packed_linear(x, packed, out, {});
    for (const int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      for (const int64_t rows : {1, 2, 3, 7, 19, 64, 300}) {
        EXPECT_TRUE(at::equal(packed_linear(x.narrow(0, 700 - rows, rows), packed, out, {}),
                              all.narrow(0, 700 - rows, rows)))
            << rows << " rows, " << threads << " threads";
      }
    }
  }
  at::set_num_threads(before);
}

TEST_P(PackedLinearTest, TakesAnyLayoutOfTheInput) {
  const at::Tensor x = uniform({2, 6, 40}), weight = uniform({24, 40});
  EXPECT_EQ(product(x, weight).sizes(), (std::vector<int64_t>{2, 6, 24}));
  EXPECT_TRUE(at::equal(product(x.transpose(0, 1), weight), product(x, weight).transpose(0, 1)));
  EXPECT_TRUE(at::equal(product(x, weight), product(x, weight.t().contiguous().t())));
  EXPECT_EQ(product(uniform({0, 40}), weight).sizes(), (std::vector<int64_t>{0, 24}));
}

TEST_P(PackedLinearTest, NanComesOut) {
  for (const int64_t in : {40, 41}) {
    at::Tensor x = uniform({5, in});
    x[3][in - 1] = NAN;
    const at::Tensor is_nan = product(x, uniform({24, in})).isnan().all(1);
    EXPECT_TRUE(at::equal(is_nan, at::tensor({0, 0, 0, 1, 0}).to(at::kBool)));
  }
}

TEST_P(PackedLinearTest, RowsAreThoseOfTheWeight) {
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{15, 33}, {64, 130}}) {
    const at::Tensor weight = uniform({out, in}), ids = at::tensor({0, 32, 5, 5}, at::kLong);
    at::Tensor rows = at::empty({4, in}, weight.options());
    packed_rows_out(pack_weight(weight), ids, rows);
    EXPECT_TRUE(at::equal(rows, weight.index_select(0, ids)));
  }
}

// Beside the same outputs of a weight that one more, of other numbers, keeps in float32.
TEST(PackedLinear, AWeightOfBFloat16NumbersIsReadAsSuchAndGivesTheSameBits) {
  at::manual_seed(1);
  for (const int64_t in : {1, 15, 64, 577, 4098}) {
    const at::Tensor all = at::rand({131, in}) * 2 - 1;
    const at::Tensor weight = all.narrow(0, 0, 130).to(at::kBFloat16).to(at::kFloat);
    all.narrow(0, 0, 130).copy_(weight);
    const at::Tensor narrow = pack_weight(weight), wide = pack_weight(all);
    EXPECT_EQ(narrow.scalar_type(), at::kBFloat16);
    EXPECT_EQ(wide.scalar_type(), at::kFloat);
    const at::Tensor bias = at::rand({130});
    for (const int64_t rows : {1, 2, 3, 5, 7, 13, 19, 64, 300}) {
      const at::Tensor x = at::rand({rows, in}) * 2 - 1;
      const at::Tensor want = packed_linear(x, wide, 131, {}).narrow(1, 0, 130);
      EXPECT_TRUE(at::equal(packed_linear(x, narrow, 130, {}), want)) << rows << " of " << in;
      EXPECT_TRUE(at::equal(packed_linear(x, narrow, 130, bias), want + bias));
    }
    const at::Tensor rows = at::empty({3, in});
    packed_rows_out(narrow, at::tensor({129, 0, 64}, at::kLong), rows);
    EXPECT_TRUE(at::equal(rows, weight.index_select(0, at::tensor({129, 0, 64}, at::kLong))));
  }
  EXPECT_EQ(pack_weight(at::full({2, 2}, NAN)).scalar_type(), at::kBFloat16);
  EXPECT_EQ(pack_weight(at::full({2, 2}, 0.1)).scalar_type(), at::kFloat);
}

TEST(PackedLinear, RefusesWhatDoesNotFit) {
  const at::Tensor x = at::zeros({2, 4}), packed = pack_weight(at::zeros({3, 4}));
  EXPECT_THROW(pack_weight(at::zeros({3})), c10::Error);
  EXPECT_THROW(packed_linear(x, pack_weight(at::zeros({3, 5})), 3, {}), c10::Error);
  EXPECT_THROW(packed_linear(x, packed, 65, {}), c10::Error);
  EXPECT_THROW(packed_linear(x, packed.to(at::kHalf), 3, {}), c10::Error);
  EXPECT_THROW(packed_linear(x.to(at::kHalf), packed, 3, {}), c10::Error);
  EXPECT_THROW(packed_linear(x, packed.transpose(1, 2), 3, {}), c10::Error);
  EXPECT_THROW(packed_linear(x, packed, 3, at::zeros({4})), c10::Error);
  for (const int64_t id : {int64_t{-1}, int64_t{64}}) {
    EXPECT_THROW(packed_rows_out(packed, at::tensor({id}, at::kLong), at::empty({1, 4})),
                 c10::Error);
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, PackedLinearTest,
                         testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                         [](const auto& dtype) { return c10::toString(dtype.param); });

}  // namespace
}  // namespace kvbench
