#include "kernels/cache_attention/cache_attention_torch.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/checks_torch.h"

namespace kvbench {
namespace {

struct Case {
  int64_t n_tokens, group, head_dim;
  at::ScalarType dtype;
};

// Sequences with 2 KV heads in one buffer, each head behind a gap of other rows.
struct Inputs {
  at::Tensor query, keys, values, starts, lengths;

  at::Tensor attention(double scale, int64_t window = 0) const {
    return cache_attention(query, keys, values, starts, lengths, scale, window);
  }
};

Inputs make_inputs(const Case& c, const std::vector<std::vector<int64_t>>& lengths) {
  at::manual_seed(7);
  Inputs in;
  const auto S = static_cast<int64_t>(lengths.size()), H = static_cast<int64_t>(lengths[0].size());
  in.query = at::randn({S, c.n_tokens, H * c.group, c.head_dim}).to(c.dtype);
  in.starts = at::empty({S, H}, at::kLong);
  in.lengths = at::empty({S, H}, at::kLong);
  std::vector<at::Tensor> keys, values;
  const at::Tensor gap = at::full({3, c.head_dim}, NAN);  // rows of nobody: read, they would show
  int64_t rows = 0;
  for (int64_t s = 0; s < S; ++s) {
    for (int64_t h = 0; h < H; ++h) {
      in.starts[s][h] = rows + 3;
      in.lengths[s][h] = lengths[s][h];
      keys.insert(keys.end(), {gap, at::randn({lengths[s][h], c.head_dim})});
      values.insert(values.end(), {gap, at::randn({lengths[s][h], c.head_dim})});
      rows += 3 + lengths[s][h];
    }
  }
  in.keys = at::cat(keys).to(c.dtype);
  in.values = at::cat(values).to(c.dtype);
  return in;
}

at::Tensor reference(const Inputs& in, double scale, int64_t window = 0) {
  at::Tensor out = at::empty_like(in.query);
  CacheAttention op;
  op.cache = ragged_cache(in.keys, in.values, in.starts, in.lengths);
  op.n_tokens = in.query.size(1);
  op.n_heads = in.query.size(2);
  op.scale = static_cast<float>(scale);
  op.window = window;
  op.query = in.query.const_data_ptr();
  op.out = out.mutable_data_ptr();
  cache_attention_reference(op);
  return out;
}

// NaN fails: a comparison with it is false.
void expect_close(const at::Tensor& got, const at::Tensor& want, double tolerance) {
  const double largest = (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>();
  EXPECT_TRUE(largest <= tolerance) << "largest difference " << largest;
}

class CacheAttentionCases : public testing::TestWithParam<Case> {};

TEST_P(CacheAttentionCases, EqualsDoubleReference) {
  const Case c = GetParam();
  const int64_t m = c.n_tokens;
  // A length of only the new tokens, one above a tile, above a split, and a multiple of a tile.
  const Inputs in = make_inputs(c, {{m, 65 + m}, {1024 + m, 1500 + m}, {64 + m - 1, 128}});
  const double scale = 1.0 / std::sqrt(static_cast<double>(c.head_dim));
  const at::Tensor want = reference(in, scale);
  // float32: sums of up to 1500 terms in another order. Half precisions: one rounding of the
  // output, whose values stay below 4.
  const double tolerance = c.dtype == at::kFloat ? 2e-5 : c.dtype == at::kHalf ? 2e-3 : 1.6e-2;
  expect_close(in.attention(scale), want, tolerance);
}

// Head sizes that vectors fill, that they do not, and large ones; few rows a group (dot products)
// and many (a transposed tile).
INSTANTIATE_TEST_SUITE_P(Shapes, CacheAttentionCases,
                         testing::Values(Case{1, 1, 64, at::kFloat}, Case{1, 3, 64, at::kFloat},
                                         Case{1, 4, 128, at::kBFloat16}, Case{1, 8, 80, at::kFloat},
                                         Case{1, 3, 96, at::kHalf}, Case{1, 2, 8, at::kFloat},
                                         Case{41, 3, 64, at::kFloat},
                                         Case{41, 3, 64, at::kBFloat16},
                                         Case{7, 1, 256, at::kFloat}, Case{100, 4, 16, at::kFloat},
                                         Case{1, 3, 72, at::kFloat}, Case{1, 7, 72, at::kBFloat16},
                                         Case{9, 3, 72, at::kHalf}, Case{40, 2, 88, at::kFloat},
                                         Case{1, 2, 2, at::kBFloat16}, Case{3, 1, 10, at::kFloat},
                                         Case{1, 2, 320, at::kFloat}, Case{1, 4, 264, at::kHalf},
                                         Case{12, 1, 576, at::kBFloat16}),
                         [](const auto& shape) {
                           return fmt::format("m{}_group{}_d{}_{}", shape.param.n_tokens,
                                              shape.param.group, shape.param.head_dim,
                                              c10::toString(shape.param.dtype));
                         });

// Windows below the new tokens, of a tile, across tiles and splits, and longer than any head.
TEST(CacheAttention, WindowEqualsDoubleReference) {
  for (const int64_t n_tokens : {1, 5, 41}) {
    const Inputs in = make_inputs({n_tokens, 3, 64, at::kFloat},
                                  {{n_tokens, 65 + n_tokens}, {1024 + n_tokens, 1500 + n_tokens}});
    for (const int64_t window : {1, 3, 64, 700, 4000}) {
      const at::Tensor want = reference(in, 0.125, window);
      expect_close(in.attention(0.125, window), want, 2e-5);
    }
    EXPECT_TRUE(at::equal(in.attention(0.125, 4000), in.attention(0.125)));
  }
  const Inputs in = make_inputs({1, 1, 8, at::kFloat}, {{1, 1}});
  EXPECT_THROW(in.attention(1, -1), c10::Error);
}

TEST(CacheAttention, HandWorked) {
  // One head, two keys, the query points along the first: weights e/(e+1) and 1/(e+1).
  const auto q = at::tensor({1.0F, 0.0F}).view({1, 1, 1, 2});
  const auto k = at::tensor({1.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  const auto v = at::tensor({1.0F, 10.0F, 3.0F, 20.0F}).view({2, 2});
  const auto starts = at::zeros({1, 1}, at::kLong), lengths = at::full({1, 1}, 2, at::kLong);
  const auto out = cache_attention(q, k, v, starts, lengths, 1.0).flatten();
  const double w = std::exp(1.0) / (std::exp(1.0) + 1.0);
  EXPECT_NEAR(out[0].item<double>(), w * 1 + (1 - w) * 3, 1e-6);
  EXPECT_NEAR(out[1].item<double>(), w * 10 + (1 - w) * 20, 1e-5);
}

TEST(CacheAttention, OneSequenceAloneOrInABatchGivesTheSameBits) {
  const Inputs in = make_inputs({1, 3, 64, at::kBFloat16}, {{700, 30}, {2500, 64}, {1, 1024}});
  const auto all = in.attention(0.125);
  for (int64_t s = 0; s < 3; ++s) {
    const auto alone = cache_attention(in.query.narrow(0, s, 1), in.keys, in.values,
                                       in.starts.narrow(0, s, 1).contiguous(),
                                       in.lengths.narrow(0, s, 1).contiguous(), 0.125);
    EXPECT_TRUE(at::equal(alone, all.narrow(0, s, 1)));
  }
}

// A NaN of a key or a query is the answer of the rows that see it, and of no others.
TEST(CacheAttention, NanComesOut) {
  for (const int64_t head_dim : {64, 72}) {
    for (const int64_t n_tokens : {2, 20}) {
      const Inputs in = make_inputs({n_tokens, 2, head_dim, at::kFloat}, {{n_tokens + 90, 1500}});
      in.keys[in.starts[0][1].item<int64_t>() + 1498][3] = NAN;  // the last but one of head 1
      const auto out = in.attention(0.125);
      const at::Tensor is_nan = out.isnan();
      EXPECT_FALSE(is_nan.narrow(2, 0, 2).any().item<bool>());
      EXPECT_FALSE(is_nan.narrow(1, 0, n_tokens - 2).any().item<bool>());
      EXPECT_TRUE(is_nan.narrow(2, 2, 2).narrow(1, n_tokens - 2, 2).all().item<bool>());
      in.query[0][0][0][0] = NAN;
      EXPECT_TRUE(in.attention(0.125)[0][0].select(0, 0).isnan().all().item<bool>());
    }
  }
}

TEST(CacheAttention, RefusesWhatDoesNotFit) {
  Inputs in = make_inputs({1, 2, 16, at::kFloat}, {{5, 6}});
  const auto call = [&] { return in.attention(1.0); };
  EXPECT_NO_THROW(call());
  in.lengths[0][1] = 7;  // past the buffer's end
  EXPECT_THROW(call(), c10::Error);
  in.lengths[0][1] = 0;  // without the new token
  EXPECT_THROW(call(), c10::Error);
  in.lengths[0][1] = 6;
  in.keys = in.keys.to(at::kHalf);
  EXPECT_THROW(call(), c10::Error);
  in.keys = in.keys.to(at::kFloat).slice(0, 0, -1);
  EXPECT_THROW(call(), c10::Error);
}

}  // namespace
}  // namespace kvbench
