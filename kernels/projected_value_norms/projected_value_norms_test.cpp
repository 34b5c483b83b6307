#include "kernels/projected_value_norms/projected_value_norms.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_heads, group, n_rows, head_dim, hidden;
};

void expect_reference(const Shape& shape, DType dtype, int p, uint64_t seed = 1) {
  const auto& [H, G, T, d, D] = shape;
  const auto values = encode(random_values(T * H * d, seed, dtype), dtype);
  const auto weight = encode(random_values(D * H * G * d, seed + 100, dtype, 0.1F), dtype);
  std::vector<float> want(p == 1 ? H * T : H * G * T);
  ProjectedValueNorms op = {
      H, H * G, T, d, D, dtype, p, {values.data(), d, H * d}, weight.data(), want.data()};
  projected_value_norms_reference(op);
  TestArray of_values(values), of_weight(weight);
  TestArray<float> out(want.size());
  op.values.data = of_values.data();
  op.output_weight = of_weight.data();
  op.out = out.data();
  const auto run = [&] { KVB_RUN(projected_value_norms, op); };
  run();
  expect_near(out.read(), want, 2e-6);  // of sums in float
  expect_same_with_any_threads(out, run);
}

TEST(ProjectedValueNorms, EqualTheReference) {
  for (const DType dtype : kDTypes) {
    for (const int p : {1, 2}) {
      for (const auto& shape :
           {Shape{1, 1, 1, 64, 1}, Shape{2, 3, 31, 80, 33}, Shape{1, 4, 70, 16, 100},
            Shape{1, 1, 65, 128, 64}, Shape{1, 8, 3, 96, 8}, Shape{1, 1, 9, 256, 70}}) {
        expect_reference(shape, dtype, p);
      }
    }
  }
}

TEST(ProjectedValueNorms, OfOtherValuesAndOfNone) {
  for (const uint64_t seed : {2, 3, 4}) {
    for (const int p : {1, 2}) expect_reference({2, 3, 33, 64, 40}, DType::kBFloat16, p, seed);
  }
  expect_reference({2, 3, 0, 64, 40}, DType::kBFloat16, 2);
}

}  // namespace
}  // namespace kvbench
