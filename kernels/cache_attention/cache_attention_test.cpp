#include "kernels/cache_attention/cache_attention.h"

#include <cmath>
#include <limits>

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Case {
  std::vector<std::vector<int64_t>> lengths;  // [S, H], new tokens included
  int64_t n_tokens = 1, group = 1, head_dim = 64, window = 0;
  DType dtype = DType::kFloat32;
  int64_t n_items = 0;  // of a plan for CUDA; 0: none
};

// A ragged cache with values of its own, each head behind a gap of rows of nobody: reading them
// would show as a NaN.
struct Inputs {
  explicit Inputs(const Case& c, uint64_t seed = 7) : of(c) {
    const auto S = static_cast<int64_t>(c.lengths.size());
    const auto H = static_cast<int64_t>(c.lengths[0].size());
    std::vector<float> k, v;
    for (const auto& of_sequence : c.lengths) {
      for (const int64_t length : of_sequence) {
        const float nan = std::numeric_limits<float>::quiet_NaN();
        k.insert(k.end(), 3 * c.head_dim, nan);
        v.insert(v.end(), 3 * c.head_dim, nan);
        starts.push_back(static_cast<int64_t>(k.size()) / c.head_dim);
        lengths.push_back(length);
        for (const float x : random_values(length * c.head_dim, ++seed)) k.push_back(x);
        for (const float x : random_values(length * c.head_dim, ++seed)) v.push_back(x);
      }
    }
    n_rows = static_cast<int64_t>(k.size()) / c.head_dim;
    keys = encode(k, c.dtype);
    values = encode(v, c.dtype);
    query = encode(random_values(S * c.n_tokens * H * c.group * c.head_dim, ++seed), c.dtype);
  }

  CacheAttention op() {
    const auto H = static_cast<int64_t>(of.lengths[0].size());
    CacheAttention op;
    op.cache.n_sequences = static_cast<int64_t>(of.lengths.size());
    op.cache.n_kv_heads = H;
    op.cache.head_dim = of.head_dim;
    op.cache.n_rows = n_rows;
    op.cache.dtype = of.dtype;
    op.cache.keys = keys.data();
    op.cache.values = values.data();
    op.cache.starts = starts.data();
    op.cache.lengths = lengths.data();
    op.n_tokens = of.n_tokens;
    op.n_heads = H * of.group;
    op.scale = 1 / std::sqrt(static_cast<float>(of.head_dim));
    op.window = of.window;
    op.query = query.data();
    return op;
  }

  Case of;
  std::vector<uint8_t> query, keys, values;
  std::vector<int64_t> starts, lengths;
  int64_t n_rows = 0;
};

std::vector<float> reference(Inputs& in) {
  std::vector<uint8_t> out(in.query.size());
  CacheAttention op = in.op();
  op.out = out.data();
  cache_attention_reference(op);
  return decode(out, in.of.dtype);
}

// Of the operator under test; by a plan that was made for heads `grown` rows shorter.
void run(Inputs& in, std::vector<float>& result, int64_t grown = 0) {
  TestArray query(in.query), keys(in.keys), values(in.values);
  TestArray starts(in.starts), lengths(in.lengths);
  TestArray<uint8_t> out(in.query.size());
  CacheAttention op = in.op();
  op.query = query.data();
  op.cache.keys = keys.data();
  op.cache.values = values.data();
  op.cache.starts = starts.data();
  op.cache.lengths = lengths.data();
  op.out = out.data();
  std::vector<int64_t> planned = in.lengths;
  for (auto& length : planned) length -= grown;
  const DecodePlan plan = decode_plan(planned, op.cache.n_kv_heads, in.of.n_items);
  TestArray items(plan.items);
  TestArray first_items(plan.first_items);
  if (in.of.n_items > 0) {
    op.items = items.data();
    op.first_items = first_items.data();
    op.n_items = static_cast<int64_t>(items.size());
  }
  TestArray<uint8_t> workspace(kTestsCuda ? cache_attention_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  KVB_RUN(cache_attention, op);
  result = decode(out.read(), in.of.dtype);
}

// Sums of up to some hundred terms in another order, and one rounding of the result. Tensor cores
// and products of pairs, for many rows, want the weights of values of size 1 rounded too.
void expect_reference(const Case& c) {
  Inputs in(c);
  std::vector<float> got;
  run(in, got);
  const bool in_pairs = c.dtype == DType::kBFloat16 || (kTestsCuda && c.dtype == DType::kFloat16);
  const bool rounds = in_pairs && c.n_tokens * c.group > 16;
  expect_near(got, reference(in), 2 * rounding(c.dtype), rounds ? rounding(c.dtype) : 1e-5);
}

// Heads of one row, of a tile less one, of several tiles and shares, all different; sizes that have
// kernels of their own and others; groups that fill a block's rows, that do not, and above.
TEST(CacheAttention, DecodeEqualsTheReference) {
  const std::vector<std::vector<int64_t>> ragged = {{1, 63}, {200, 331}};
  for (const DType dtype : kDTypes) {
    for (const auto& [group, head_dim] :
         {std::pair<int64_t, int64_t>{3, 64}, {1, 80}, {8, 96}, {4, 128}, {1, 256}, {2, 16}}) {
      expect_reference({ragged, 1, group, head_dim, 0, dtype, 9});
    }
    // Each size with few rows to a block, and with many.
    for (const int64_t head_dim : {64, 80, 96, 128, 256}) {
      for (const int64_t group : {2, 6}) {
        expect_reference({{{70, 3}}, 1, group, head_dim, 0, dtype, 4});
      }
    }
  }
  for (const int64_t group : {1, 5, 7, 9})
    expect_reference({ragged, 1, group, 64, 0, kDTypes[1], 9});
  for (const int64_t head_dim : {8, 72, 88, 120, 200}) {
    expect_reference({{{70, 3}}, 1, 3, head_dim, 0, kDTypes[0], 4});
    expect_reference({{{70, 3}}, 1, 6, head_dim, 0, kDTypes[2], 4});
  }
}

TEST(CacheAttention, BlockOfTokensEqualsTheReference) {
  for (const DType dtype : kDTypes) {
    expect_reference({{{5, 64}, {90, 131}}, 5, 3, 64, 0, dtype});
    expect_reference({{{41, 100}}, 41, 1, 128, 0, dtype});
  }
  expect_reference({{{5, 64}, {90, 131}}, 5, 3, 64, 0, kDTypes[0], 12});
  expect_reference({{{50}}, 20, 4, 16});
  // Heads of two tiles of query rows, in a window, and whose size is none of the kernels'.
  for (const int64_t window : {0, 17, 40}) {
    expect_reference({{{30, 64}, {95, 131}}, 30, 3, 64, window, kDTypes[1]});
    expect_reference({{{77}}, 20, 1, 16, window, kDTypes[2]});
  }
  for (const int64_t head_dim : {80, 88, 96, 256}) {
    for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
      expect_reference({{{33, 70}}, 9, 2, head_dim, 0, dtype});
    }
  }
}

// Windows below the new tokens, of a tile, across tiles, and longer than any head.
TEST(CacheAttention, WindowEqualsTheReference) {
  for (const int64_t n_tokens : {1, 5}) {
    for (const int64_t window : {1, 3, 64, 140, 4000}) {
      for (const int64_t n_items : {0, 10}) {
        expect_reference({{{5, 66}, {150, 331}}, n_tokens, 3, 64, window, kDTypes[0], n_items});
      }
    }
  }
}

// The answer does not depend on who reads what but for rounding: a plan stays right as heads grow,
// and a head may have become shorter than it has shares.
TEST(CacheAttention, PlanOfOtherLengths) {
  Inputs in({{{40, 401}, {150, 90}}, 1, 3, 64, 0, DType::kFloat32, 14});
  const std::vector<float> want = reference(in);
  for (const int64_t grown : {0, 39, -700}) {
    std::vector<float> got;
    run(in, got, grown);
    expect_near(got, want, 2e-5, 1e-5);
  }
}

TEST(CacheAttention, HandWorked) {
  // Two keys along the first two axes, the query along the first: weights e/(e+1) and 1/(e+1).
  Inputs in({{{2}}, 1, 1, 8});
  std::vector<float> k(5 * 8), v(5 * 8), q(8);
  q[0] = std::sqrt(8.0F);
  k[3 * 8] = k[4 * 8 + 1] = 1;
  v[3 * 8] = 1, v[3 * 8 + 1] = 10, v[4 * 8] = 3, v[4 * 8 + 1] = 20;
  in.keys = encode(k, DType::kFloat32);
  in.values = encode(v, DType::kFloat32);
  in.query = encode(q, DType::kFloat32);
  std::vector<float> got;
  run(in, got);
  const double w = std::exp(1.0) / (std::exp(1.0) + 1.0);
  EXPECT_NEAR(got[0], w * 1 + (1 - w) * 3, 1e-6);
  EXPECT_NEAR(got[1], w * 10 + (1 - w) * 20, 1e-5);
}

// A NaN of a key is the answer of the rows that see it, and of no others.
TEST(CacheAttention, NanComesOut) {
  for (const int64_t n_tokens : {2, 12}) {
    Inputs in({{{n_tokens + 90, 150}}, n_tokens, 2, 64});
    // The last but one of head 1.
    reinterpret_cast<float*>(in.keys.data())[(in.starts[1] + 148) * 64 + 3] = NAN;
    std::vector<float> got;
    run(in, got);
    for (int64_t i = 0; i < n_tokens; ++i) {
      for (int64_t q = 0; q < 4; ++q) {
        const bool sees = q >= 2 && i >= n_tokens - 2;
        for (int64_t c = 0; c < 64; ++c) {
          ASSERT_EQ(std::isnan(got[(i * 4 + q) * 64 + c]), sees) << i << " " << q << " " << c;
        }
      }
    }
  }
}

#ifndef KVBENCH_TEST_CUDA
TEST(CacheAttention, OneSequenceAloneOrInABatchGivesTheSameBits) {
  const Case all = {{{700, 30}, {2500, 64}, {1, 1024}}, 1, 3, 64, 0, DType::kBFloat16};
  Inputs in(all);
  std::vector<float> together;
  run(in, together);
  for (int64_t s = 0; s < 3; ++s) {
    Inputs alone = in;
    alone.of.lengths = {all.lengths[s]};
    alone.starts = {in.starts[2 * s], in.starts[2 * s + 1]};
    alone.lengths = all.lengths[s];
    const int64_t bytes = 6 * 64 * 2, n = 6 * 64;
    alone.query.assign(in.query.begin() + s * bytes, in.query.begin() + (s + 1) * bytes);
    std::vector<float> got;
    run(alone, got);
    EXPECT_EQ(got, std::vector<float>(together.begin() + s * n, together.begin() + (s + 1) * n));
  }
}
#endif

}  // namespace
}  // namespace kvbench
