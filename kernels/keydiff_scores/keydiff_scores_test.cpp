#include "kernels/keydiff_scores/keydiff_scores.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

// keys [H, T, d], or [T, H, d] where heads lie side by side.
void expect_reference(int64_t H, int64_t T, int64_t d, DType dtype, bool side_by_side,
                      const std::vector<float>& values) {
  const auto keys = encode(values, dtype);
  std::vector<float> want(H * T);
  KeydiffScores op = {H, T, d, dtype, {keys.data(), T * d, d}, want.data()};
  if (side_by_side) op.keys = {keys.data(), d, H * d};
  keydiff_scores_reference(op);
  TestArray in(keys);
  TestArray<float> out(want.size());
  TestArray<uint8_t> workspace(kTestsCuda ? keydiff_scores_workspace_bytes(op) : 0);
  op.keys.data = in.data();
  op.out = out.data();
  op.workspace = workspace.data();
  const auto run = [&] { KVB_RUN(keydiff_scores, op); };
  run();
  // Cosines: of sums in float.
  expect_near(out.read(), want, 0, 2e-6);
  expect_same_with_any_threads(out, run);
}

TEST(KeydiffScores, EqualTheReference) {
  struct Shape {
    int64_t n_heads, n_rows, head_dim;
  };
  for (const DType dtype : kDTypes) {
    for (const auto& [H, T, d] : {Shape{2, 0, 64},
                                  Shape{1, 1, 64},
                                  {3, 31, 80},
                                  {2, 530, 64},
                                  {1, 65, 96},
                                  {2, 33, 128},
                                  {1, 7, 256},
                                  {1, 20, 72},
                                  {2, 40, 16}}) {
      for (const uint64_t seed : {1, 2}) {
        auto values = random_values(H * T * d, seed, dtype);
        for (auto& x : values) x += 0.5F;  // keys have a common direction
        expect_reference(H, T, d, dtype, T % 2 == 0, values);
      }
    }
  }
}

// Bounds of the norms: keys without a direction score 0.
TEST(KeydiffScores, OfZeroKeys) {
  expect_reference(2, 9, 64, DType::kFloat32, false, std::vector<float>(2 * 9 * 64));
}

}  // namespace
}  // namespace kvbench
