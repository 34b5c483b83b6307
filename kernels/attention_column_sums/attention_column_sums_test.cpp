#include "kernels/attention_column_sums/attention_column_sums.h"

#include <cmath>

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

using Group = AttentionColumnSums::Group;

struct Shape {
  int64_t n_kv_heads, group, n_queries, n_tokens, head_dim;
  int64_t n_columns = 0;  // 0: all
  Group group_form = Group::kMean;
  bool causal = true;
};

// Rows head by head, or token by token where heads lie side by side.
void run(const Shape& shape, DType dtype, bool side_by_side, const std::vector<float>& queries,
         const std::vector<float>& keys, std::vector<float>& got, std::vector<float>& want) {
  const auto& [H, group, Q, T, d, n_columns, group_form, causal] = shape;
  const auto query_bytes = encode(queries, dtype), key_bytes = encode(keys, dtype);
  AttentionColumnSums op;
  op.n_heads = H * group;
  op.n_kv_heads = H;
  op.n_queries = Q;
  op.n_tokens = T;
  op.head_dim = d;
  op.dtype = dtype;
  op.scale = 1 / std::sqrt(static_cast<float>(d));
  op.queries = {query_bytes.data(), Q * d, d};
  op.keys = {key_bytes.data(), T * d, d};
  if (side_by_side) {
    op.queries = {query_bytes.data(), d, H * group * d};
    op.keys = {key_bytes.data(), d, H * d};
  }
  op.group = group_form;
  op.causal = causal;
  op.factor = 0.5F;
  op.n_columns = n_columns == 0 ? T : n_columns;
  want.resize(op.n_rows() * op.n_columns);
  op.out = want.data();
  attention_column_sums_reference(op);
  TestArray in_queries(query_bytes), in_keys(key_bytes);
  TestArray<float> out(want.size());
  op.queries.data = in_queries.data();
  op.keys.data = in_keys.data();
  op.out = out.data();
  TestArray<uint8_t> workspace(kTestsCuda ? attention_column_sums_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  KVB_RUN(attention_column_sums, op);
  got = out.read();
  expect_same_with_any_threads(out, [&] { attention_column_sums_cpu(op); });
}

// All tokens ask, some, or one; tiles, blocks and segments that are full and that are not; groups
// of 1 to 8; sums of query heads, and of the first tokens only.
TEST(AttentionColumnSums, EqualTheReference) {
  uint64_t seed = 1;
  for (const DType dtype : kDTypes) {
    for (const Shape& shape : {Shape{1, 1, 1, 1, 64},
                               {2, 3, 1, 300, 64, 0, Group::kNone},
                               {2, 3, 70, 70, 64},
                               {1, 4, 33, 131, 128},
                               {1, 8, 5, 65, 80},
                               {1, 2, 65, 257, 16, 190, Group::kNone},
                               {1, 1, 129, 140, 96},
                               {2, 1, 3, 40, 256}}) {
      const auto& [H, group, Q, T, d, n_columns, group_form, causal] = shape;
      const auto queries = random_values(H * group * Q * d, seed, dtype, 2);
      const auto keys = random_values(H * T * d, seed + 1, dtype);
      std::vector<float> got, want;
      run(shape, dtype, seed % 2 == 0, queries, keys, got, want);
      // Logits of sums in float, of size up to 10, and exp of their differences.
      expect_near(got, want, 2e-5, 1e-9);
      ++seed;
    }
  }
}

// The largest of a group, of which all heads, some or none fill vectors and tiles; queries that see
// all keys, more of them than there are keys too.
TEST(AttentionColumnSums, OfTheLargestAndOfAllKeysEqualTheReference) {
  uint64_t seed = 100;
  for (const DType dtype : kDTypes) {
    for (const Group form : {Group::kMean, Group::kMax, Group::kMaxLogit, Group::kNone}) {
      for (const bool causal : {true, false}) {
        for (const Shape& shape :
             {Shape{2, 3, 16, 130, 64, 90}, {1, 8, 5, 33, 80}, {1, 2, 70, causal ? 70 : 40, 16}}) {
          Shape asked = shape;
          asked.group_form = form;
          asked.causal = causal;
          const auto& [H, group, Q, T, d, n_columns, group_form, is_causal] = asked;
          std::vector<float> got, want;
          run(asked, dtype, seed % 2 == 0, random_values(H * group * Q * d, seed, dtype, 2),
              random_values(H * T * d, seed + 1, dtype), got, want);
          expect_near(got, want, 2e-5, 1e-9);
          ++seed;
        }
      }
    }
  }
}

// Rows of an odd size are no pairs; a device takes none that are not whole packs.
TEST(AttentionColumnSums, OfAnOddHeadDim) {
  if (kTestsCuda) GTEST_SKIP() << "rows are whole packs";
  for (const DType dtype : kDTypes) {
    const Shape shape = {2, 3, 9, 150, 7};
    std::vector<float> got, want;
    run(shape, dtype, false, random_values(2 * 3 * 9 * 7, 3, dtype, 2),
        random_values(2 * 150 * 7, 4, dtype), got, want);
    expect_near(got, want, 2e-5, 1e-9);
  }
}

// More weights than a CPU keeps between its passes.
TEST(AttentionColumnSums, OfManyTokens) {
  if (kTestsCuda) GTEST_SKIP() << "nothing is kept";
  const Shape shape = {1, 8, 64, 8500, 8};
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, random_values(8 * 64 * 8, 11), random_values(8500 * 8, 12),
      got, want);
  expect_near(got, want, 2e-5, 1e-9);
}

// Every query gives away a weight of 1, here times the factor.
TEST(AttentionColumnSums, WeightsOfAQueryAddUpToOne) {
  const Shape shape = {1, 2, 20, 90, 64};
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, random_values(2 * 20 * 64, 5), random_values(90 * 64, 6), got,
      want);
  double sum = 0;
  for (const float x : got) sum += x;
  EXPECT_NEAR(sum, 0.5 * 20, 1e-4);
}

// Logits that float could not exponentiate, and a query all of whose logits are far below.
TEST(AttentionColumnSums, OfLargeLogits) {
  const Shape shape = {1, 1, 40, 300, 64};
  auto queries = random_values(40 * 64, 7, DType::kFloat32, 100);
  for (int i = 0; i < 64; ++i) queries[i] = -1000;
  auto keys = random_values(300 * 64, 8);
  for (auto& x : keys) x = std::abs(x);
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, queries, keys, got, want);
  // Logits of about 1000 in float are right within 1e-4, and so are weights relatively.
  expect_near(got, want, 2e-3, 1e-6);
}

// A NaN of a key is the sum of all tokens that its queries see.
TEST(AttentionColumnSums, NanComesOut) {
  const Shape shape = {2, 1, 10, 80, 64};
  auto keys = random_values(2 * 80 * 64, 9);
  keys[75 * 64 + 3] = NAN;  // seen by the last five queries of head 0
  std::vector<float> got, want;
  run(shape, DType::kFloat32, false, random_values(2 * 10 * 64, 10), keys, got, want);
  for (int64_t t = 0; t < 160; ++t) EXPECT_EQ(std::isnan(got[t]), t < 80) << t;
}

}  // namespace
}  // namespace kvbench
