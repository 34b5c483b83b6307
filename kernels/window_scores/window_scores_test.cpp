#include "kernels/window_scores/window_scores.h"

#include <cmath>

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_kv_heads, group, window, n_tokens, head_dim;
};

struct Variant {
  int64_t kernel = 1;
  WindowScores::Pooling pooling = WindowScores::Pooling::kMax;
  WindowScores::Order order = WindowScores::Order::kPoolFirst;
  WindowScores::Reduce reduce = WindowScores::Reduce::kNone;
};

// Keys [H, T, d], or [T, H, d] where heads lie side by side.
void expect_reference(const Shape& shape, DType dtype, const Variant& variant, uint64_t seed,
                      bool side_by_side = false) {
  const auto& [H, group, W, T, d] = shape;
  const auto queries = encode(random_values(H * group * W * d, seed, dtype, 2), dtype);
  const auto keys = encode(random_values(H * T * d, seed + 1, dtype), dtype);
  WindowScores op;
  op.n_heads = H * group;
  op.n_kv_heads = H;
  op.window = W;
  op.n_tokens = T;
  op.head_dim = d;
  op.dtype = dtype;
  op.scale = 1 / std::sqrt(static_cast<float>(d));
  op.queries = queries.data();
  op.keys = {keys.data(), T * d, d};
  if (side_by_side) op.keys = {keys.data(), d, H * d};
  op.kernel = variant.kernel;
  op.pooling = variant.pooling;
  op.order = variant.order;
  op.reduce = variant.reduce;
  std::vector<float> want((op.reduce == WindowScores::Reduce::kNone ? op.n_heads : H) *
                          op.n_ranked());
  op.out = want.data();
  window_scores_reference(op);
  TestArray in_queries(queries), in_keys(keys);
  TestArray<float> out(want.size());
  op.queries = in_queries.data();
  op.keys.data = in_keys.data();
  op.out = out.data();
  TestArray<uint8_t> workspace(kTestsCuda ? window_scores_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  KVB_RUN(window_scores, op);
  // Logits of sums in float, of size up to 10, and exp of their differences.
  expect_near(out.read(), want, 2e-5, 1e-9);
  expect_same_with_any_threads(out, [&] { window_scores_cpu(op); });
}

// Tokens below and above a tile and a segment, windows that fill vectors and tiles and do not, all
// but one token in the window, groups of 1 to 8.
TEST(WindowScores, VotesEqualTheReference) {
  uint64_t seed = 1;
  for (const DType dtype : kDTypes) {
    for (const Shape& shape : {Shape{1, 1, 1, 2, 64},
                               {2, 3, 32, 300, 64},
                               {1, 4, 64, 131, 128},
                               {1, 8, 5, 65, 80},
                               {1, 2, 33, 34, 96},
                               {2, 1, 16, 273, 16},
                               {1, 1, 3, 40, 256}}) {
      expect_reference(shape, dtype, {}, seed, seed % 2 == 0);
      ++seed;
    }
  }
}

// Poolings that a tile's overlap with its neighbours serves, up to half a tile, and wider ones.
TEST(WindowScores, PooledAndReducedEqualTheReference) {
  using S = WindowScores;
  uint64_t seed = 50;
  for (const auto pooling : {S::Pooling::kAvg, S::Pooling::kMax}) {
    for (const auto order : {S::Order::kPoolFirst, S::Order::kGroupFirst}) {
      for (const auto reduce : {S::Reduce::kMean, S::Reduce::kMax, S::Reduce::kSum}) {
        for (const int64_t kernel : {1, 7, 31, 63}) {
          expect_reference({2, 3, 4, 149, 8}, DType::kFloat32, {kernel, pooling, order, reduce},
                           seed++);
        }
      }
    }
    expect_reference({1, 4, 4, 301, 8}, DType::kFloat32,
                     {5, pooling, S::Order::kPoolFirst, S::Reduce::kNone}, seed++);
  }
}

}  // namespace
}  // namespace kvbench
