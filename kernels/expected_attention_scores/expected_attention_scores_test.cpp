#include "kernels/expected_attention_scores/expected_attention_scores.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_heads, group, n_rows, head_dim, n_sink;
};

void expect_reference(const Shape& shape, DType dtype, bool quadratic, bool over_sinks, bool vnorm,
                      uint64_t seed = 1) {
  const auto& [H, G, T, d, n_sink] = shape;
  const auto keys = encode(random_values(H * T * d, seed, dtype), dtype);
  const auto values = encode(random_values(H * T * d, seed + 100, dtype), dtype);
  // Logits of some size, as rotated means and covariances over head_dim give them.
  const float spread = 1 / std::sqrt(static_cast<float>(d));
  const auto linear = random_values(H * G * d, seed + 200, DType::kFloat32, 2 * spread);
  const auto matrix = random_values(H * G * d * d, seed + 300, DType::kFloat32, spread * spread);
  std::vector<float> want(H * (T - n_sink));
  ExpectedAttentionScores op;
  op.n_heads = H;
  op.n_query_heads = H * G;
  op.n_rows = T;
  op.head_dim = d;
  op.n_sink = n_sink;
  op.dtype = dtype;
  op.softmax_over_sinks = over_sinks;
  op.use_vnorm = vnorm;
  op.eps = 0.01F;
  op.keys = {keys.data(), T * d, d};
  op.values = {values.data(), d, H * d};  // side by side, as a projection leaves them
  op.linear = linear.data();
  op.quadratic = quadratic ? matrix.data() : nullptr;
  op.out = want.data();
  expected_attention_scores_reference(op);
  TestArray of_keys(keys), of_values(values);
  TestArray of_linear(linear), of_matrix(matrix);
  TestArray<float> out(want.size());
  TestArray<uint8_t> workspace(kTestsCuda ? expected_attention_scores_workspace_bytes(op) : 0);
  op.keys.data = of_keys.data();
  op.values.data = of_values.data();
  op.linear = of_linear.data();
  op.quadratic = quadratic ? of_matrix.data() : nullptr;
  op.out = out.data();
  op.workspace = workspace.data();
  const auto run = [&] { KVB_RUN(expected_attention_scores, op); };
  run();
  // Logits of at most 10 are off by 1e-6 of it, and so are their exponentials relatively.
  expect_near(out.read(), want, 2e-5);
  expect_same_with_any_threads(out, run);
}

TEST(ExpectedAttentionScores, EqualTheReference) {
  for (const DType dtype : kDTypes) {
    for (const bool quadratic : {true, false}) {
      for (const auto& shape :
           {Shape{1, 1, 1, 64, 0}, Shape{2, 3, 31, 80, 4}, Shape{1, 4, 70, 16, 1},
            Shape{1, 1, 300, 64, 3}, Shape{1, 8, 9, 128, 0}, Shape{1, 1, 5, 256, 4}}) {
        expect_reference(shape, dtype, quadratic, /*over_sinks=*/false, /*vnorm=*/true);
      }
    }
  }
}

TEST(ExpectedAttentionScores, SinksAndNormAreChoices) {
  for (const bool quadratic : {true, false}) {
    for (const bool over_sinks : {true, false}) {
      for (const bool vnorm : {true, false}) {
        const uint64_t seed = 2 + quadratic + 2 * over_sinks + 4 * vnorm;
        for (const DType dtype : kDTypes) {
          expect_reference({2, 2, 67, 64, 4}, dtype, quadratic, over_sinks, vnorm, seed);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
