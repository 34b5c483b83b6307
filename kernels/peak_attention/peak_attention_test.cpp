#include "kernels/peak_attention/peak_attention.h"

#include <cmath>

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_kv_heads, group, n_queries, n_sinks, n_keys, head_dim;
  bool has_weights = false;
};

struct Values {
  std::vector<float> to_others, to_own, sinks, keys, own;
};

Values random_values_of(const Shape& shape, DType dtype, uint64_t seed, float size = 2) {
  const auto& [H, group, q, S, m, d, has_weights] = shape;
  return {random_values(H * group * q * d, seed, dtype, size),
          random_values(H * group * q * d, seed + 1, dtype, size),
          random_values(H * S * d, seed + 2, dtype), random_values(H * m * d, seed + 3, dtype),
          random_values(H * q * d, seed + 4, dtype)};
}

// Rows head by head, or token by token where heads lie side by side.
void run(const Shape& shape, DType dtype, bool side_by_side, const Values& values,
         std::vector<float>& got, std::vector<float>& want) {
  const auto& [H, group, q, S, m, d, has_weights] = shape;
  PeakAttention op;
  op.n_heads = H * group;
  op.n_kv_heads = H;
  op.n_queries = q;
  op.n_sinks = S;
  op.n_keys = m;
  op.head_dim = d;
  op.dtype = dtype;
  op.scale = 1 / std::sqrt(static_cast<float>(d));
  const auto others = encode(values.to_others, dtype), to_own = encode(values.to_own, dtype);
  const auto sinks = encode(values.sinks, dtype), keys = encode(values.keys, dtype);
  const auto own = encode(values.own, dtype);
  const auto rows = [&](const void* data, int64_t n_heads, int64_t n) {
    return side_by_side ? HeadRows{data, d, n_heads * d} : HeadRows{data, n * d, d};
  };
  op.to_others = rows(others.data(), H * group, q);
  op.to_own = rows(to_own.data(), H * group, q);
  op.sinks = rows(sinks.data(), H, S);
  op.keys = rows(keys.data(), H, m);
  op.own = rows(own.data(), H, q);
  std::vector<float> of_queries, of_keys;
  if (has_weights) {
    of_queries = random_values(q, 21);
    of_keys = random_values(H * group * m, 22);
    for (auto* weights : {&of_queries, &of_keys}) {
      for (float& x : *weights) x = std::abs(x) * 3;
    }
    op.query_weights = of_queries.data();
    op.key_weights = of_keys.data();
  }
  want.resize(H * m);
  op.out = want.data();
  peak_attention_reference(op);
  TestArray in_others(others), in_own_queries(to_own), in_sinks(sinks), in_keys(keys), in_own(own);
  TestArray<float> in_of_queries(of_queries), in_of_keys(of_keys), out(want.size());
  op.to_others.data = in_others.data();
  op.to_own.data = in_own_queries.data();
  op.sinks.data = in_sinks.data();
  op.keys.data = in_keys.data();
  op.own.data = in_own.data();
  if (has_weights) {
    op.query_weights = in_of_queries.data();
    op.key_weights = in_of_keys.data();
  }
  op.out = out.data();
  TestArray<uint8_t> workspace(kTestsCuda ? peak_attention_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  KVB_RUN(peak_attention, op);
  got = out.read();
  expect_same_with_any_threads(out, [&] { peak_attention_cpu(op); });
}

// Tiles, blocks and segments that are full and that are not; no sinks, and more than a segment;
// groups of 1 to 8; more queries than keys, and fewer.
TEST(PeakAttention, EqualsTheReference) {
  uint64_t seed = 1;
  for (const DType dtype : kDTypes) {
    for (const Shape& shape : {Shape{1, 1, 1, 0, 1, 64},
                               {2, 3, 70, 4, 60, 64, true},
                               {1, 4, 33, 4, 131, 128},
                               {1, 8, 5, 70, 65, 80, true},
                               {2, 2, 130, 2, 19, 16},
                               {1, 3, 129, 4, 257, 96, true},
                               {2, 1, 3, 4, 40, 256}}) {
      std::vector<float> got, want;
      run(shape, dtype, seed % 2 == 0, random_values_of(shape, dtype, seed), got, want);
      // Logits of sums in float, of size up to 10, and exp of their differences.
      expect_near(got, want, 2e-5, 1e-9);
      seed += 5;
    }
  }
}

// Rows of an odd size are no pairs; a device takes none that are not whole packs.
TEST(PeakAttention, OfAnOddHeadDim) {
  if (kTestsCuda) GTEST_SKIP() << "rows are whole packs";
  for (const DType dtype : kDTypes) {
    const Shape shape = {2, 3, 9, 4, 150, 7};
    std::vector<float> got, want;
    run(shape, dtype, false, random_values_of(shape, dtype, 3), got, want);
    expect_near(got, want, 2e-5, 1e-9);
  }
}

// A query that meets nothing but one key and itself, the same vector: half of its attention.
TEST(PeakAttention, OfOneKeyAndItselfIsHalf) {
  const Shape shape = {1, 1, 1, 0, 1, 64};
  Values values = random_values_of(shape, DType::kFloat32, 1);
  values.to_others = values.to_own;
  values.own = values.keys;
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, values, got, want);
  EXPECT_NEAR(got[0], 0.5, 1e-6);
}

// Logits that float could not exponentiate.
TEST(PeakAttention, OfLargeLogits) {
  const Shape shape = {1, 2, 40, 4, 300, 64};
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, random_values_of(shape, DType::kFloat32, 7, 100), got, want);
  // Logits of about 1000 in float are right within 1e-4, and so are weights relatively.
  expect_near(got, want, 2e-3, 1e-6);
}

// A NaN of a key is the peak of all keys of its head, and so is that of an own token.
TEST(PeakAttention, NanComesOut) {
  const Shape shape = {2, 1, 10, 0, 80, 64};
  Values values = random_values_of(shape, DType::kFloat32, 9);
  for (std::vector<float>* rows : {&values.keys, &values.own}) {
    const float before = (*rows)[7 * 64 + 3];
    (*rows)[7 * 64 + 3] = NAN;  // of head 0
    std::vector<float> got, want;
    run(shape, DType::kFloat32, false, values, got, want);
    for (int64_t t = 0; t < 160; ++t) EXPECT_EQ(std::isnan(got[t]), t < 80) << t;
    (*rows)[7 * 64 + 3] = before;
  }
}

}  // namespace
}  // namespace kvbench
