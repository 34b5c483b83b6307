#include "kernels/norm_rope/norm_rope.h"

#include <array>

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Case {
  int64_t n_rows, n_heads, n_kv_heads, head_dim;
  DType dtype, weight_dtype;
  bool norm, keep_normed;
};

using Bytes = std::vector<uint8_t>;

struct Result {
  Bytes queries, keys, normed;
};

// One call on rows first ... first + n - 1 of a case's.
Result run(const Case& c, int64_t first, int64_t n, bool reference) {
  const int64_t d = c.head_dim, stride = (c.n_heads + 2 * c.n_kv_heads) * d;
  const int64_t bytes = element_bytes(c.dtype);
  Bytes qkv = encode(random_values(c.n_rows * stride, 1, c.dtype, 2), c.dtype);
  qkv = Bytes(qkv.begin() + first * stride * bytes, qkv.begin() + (first + n) * stride * bytes);
  const auto query_weight = encode(random_values(d, 2, c.weight_dtype), c.weight_dtype);
  const auto key_weight = encode(random_values(d, 3, c.weight_dtype), c.weight_dtype);
  std::vector<float> cos, sin;
  for (int64_t i = first * d / 2; i < (first + n) * d / 2; ++i) {
    cos.push_back(std::cos(static_cast<float>(i)));
    sin.push_back(std::sin(static_cast<float>(i)));
  }
  NormRope op = {n, c.n_heads, c.n_kv_heads, d, c.dtype, c.weight_dtype, 1e-6F};
  op.row_stride = stride;
  Result result = {Bytes(n * c.n_heads * d * bytes), Bytes(n * c.n_kv_heads * d * bytes),
                   Bytes(c.keep_normed ? n * c.n_heads * d * bytes : 0)};
  if (reference) {
    op.qkv = qkv.data();
    op.query_weight = c.norm ? query_weight.data() : nullptr;
    op.key_weight = c.norm ? key_weight.data() : nullptr;
    op.cos = cos.data();
    op.sin = sin.data();
    op.queries = result.queries.data();
    op.keys = result.keys.data();
    op.normed_queries = c.keep_normed ? result.normed.data() : nullptr;
    norm_rope_reference(op);
    return result;
  }
  TestArray in(qkv), of_queries(query_weight), of_keys(key_weight);
  TestArray cosines(cos), sines(sin);
  TestArray<uint8_t> queries(result.queries.size()), keys(result.keys.size()),
      normed(result.normed.size());
  op.qkv = in.data();
  op.query_weight = c.norm ? of_queries.data() : nullptr;
  op.key_weight = c.norm ? of_keys.data() : nullptr;
  op.cos = cosines.data();
  op.sin = sines.data();
  op.queries = queries.data();
  op.keys = keys.data();
  op.normed_queries = c.keep_normed ? normed.data() : nullptr;
  [&] { KVB_RUN(norm_rope, op); }();
  return {queries.read(), keys.read(), normed.read()};
}

// Exactly where nothing is summed; else off by what one last place more or less comes to.
void expect_reference(const Case& c) {
  const Result got = run(c, 0, c.n_rows, false), want = run(c, 0, c.n_rows, true);
  if (!c.norm) {
    EXPECT_EQ(got.queries, want.queries);
    EXPECT_EQ(got.keys, want.keys);
    EXPECT_EQ(got.normed, want.normed);
    return;
  }
  const double relative = 2 * rounding(c.dtype), absolute = 8 * rounding(c.dtype);
  expect_near(decode(got.queries, c.dtype), decode(want.queries, c.dtype), relative, absolute);
  expect_near(decode(got.keys, c.dtype), decode(want.keys, c.dtype), relative, absolute);
  expect_near(decode(got.normed, c.dtype), decode(want.normed, c.dtype), relative, absolute);
}

TEST(NormRope, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const DType weight_dtype : {dtype, DType::kFloat32}) {
      for (const bool norm : {false, true}) {
        for (const auto& [n, Hq, H, d] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 8},
                                                                             {3, 9, 3, 64},
                                                                             {5, 4, 1, 80},
                                                                             {2, 2, 2, 128},
                                                                             {2, 8, 1, 256},
                                                                             {7, 3, 1, 24}}) {
          expect_reference({n, Hq, H, d, dtype, weight_dtype, norm, n % 2 == 1});
        }
      }
    }
  }
}

TEST(NormRope, ARowIsTheSameWhateverStandsBesideIt) {
  const Case c = {4, 3, 1, 64, DType::kBFloat16, DType::kBFloat16, true, true};
  const Result all = run(c, 0, 4, false), one = run(c, 2, 1, false);
  const auto row = [](const Bytes& bytes, int64_t size) {
    return Bytes(bytes.begin() + 2 * size, bytes.begin() + 3 * size);
  };
  EXPECT_EQ(one.queries, row(all.queries, 3 * 64 * 2));
  EXPECT_EQ(one.keys, row(all.keys, 64 * 2));
  EXPECT_EQ(one.normed, row(all.normed, 3 * 64 * 2));
}

}  // namespace
}  // namespace kvbench
