#include "kernels/gated_activation/gated_activation_torch.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "kernels/common/checks_torch.h"
#include "kernels/gated_activation/gated_activation.h"

namespace kvbench {
namespace {

class GatedActivationTest : public testing::TestWithParam<std::tuple<at::ScalarType, const char*>> {
 protected:
  static at::ScalarType dtype() { return std::get<0>(GetParam()); }
  static const char* kind() { return std::get<1>(GetParam()); }
};

TEST_P(GatedActivationTest, EqualsTheFunctionInDouble) {
  at::manual_seed(1);
  for (const int64_t n : {1, 15, 16, 33, 96}) {
    const at::Tensor gate_up = (at::randn({5, 2 * n}) * 6).to(dtype());
    at::Tensor want = at::empty({5, n}, gate_up.options());
    gated_activation_reference(
        {5, n,
         std::string_view(kind()) == "silu" ? GatedActivation::Kind::kSilu
                                            : GatedActivation::Kind::kGeluTanh,
         dtype_of(gate_up), gate_up.const_data_ptr(), want.mutable_data_ptr()});
    const at::Tensor got = gated_activation(gate_up, kind());
    // float32: of sums and an exponential; half precisions: one last place of either rounding.
    const double tolerance = dtype() == at::kFloat ? 1e-6 : dtype() == at::kHalf ? 2e-3 : 1.6e-2;
    const at::Tensor difference = (got.to(at::kDouble) - want.to(at::kDouble)).abs();
    EXPECT_TRUE((difference <= tolerance * (1 + want.to(at::kDouble).abs())).all().item<bool>())
        << n;
  }
}

TEST_P(GatedActivationTest, AnElementIsTheSameWhereverItLies) {
  const int before = at::get_num_threads();
  at::manual_seed(2);
  const at::Tensor x = at::randn({64, 2, 1001}).to(dtype());
  at::set_num_threads(1);
  const at::Tensor all = gated_activation(x.flatten(1), kind());
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(gated_activation(x.flatten(1), kind()), all));
    EXPECT_TRUE(at::equal(gated_activation(x[63].flatten(), kind()), all[63]));
    EXPECT_TRUE(
        at::equal(gated_activation(x.narrow(2, 500, 7).flatten(1), kind()), all.narrow(1, 500, 7)));
  }
  at::set_num_threads(before);
}

TEST(GatedActivation, NanAndInfinityComeOut) {
  const at::Tensor gate_up = at::tensor({NAN, INFINITY, -100.0F, 1.0F, 1.0F, 1.0F});
  for (const char* kind : {"silu", "gelu_tanh"}) {
    const at::Tensor out = gated_activation(gate_up, kind);
    EXPECT_TRUE(std::isnan(out[0].item<float>()));
    EXPECT_EQ(out[1].item<float>(), INFINITY);
    EXPECT_EQ(out[2].item<float>(), 0.0F);
  }
  EXPECT_THROW(gated_activation(gate_up, "relu"), c10::Error);
  EXPECT_THROW(gated_activation(at::zeros({3}), "silu"), c10::Error);
}

INSTANTIATE_TEST_SUITE_P(Kinds, GatedActivationTest,
                         testing::Combine(testing::Values(at::kFloat, at::kBFloat16, at::kHalf),
                                          testing::Values("silu", "gelu_tanh")));

}  // namespace
}  // namespace kvbench
