// A CPU operator: a device takes LibTorch's (causal_attention_torch.cpp).
#ifndef KVBENCH_TEST_CUDA
#include "kernels/causal_attention/causal_attention.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

struct Shape {
  int64_t n_tokens, n_heads, n_kv_heads, head_dim, window;
  bool rows_of_tokens;  // queries as a projection leaves them, [T, Hq, d]
};

class CausalAttentionTest : public testing::TestWithParam<DType> {};

void expect_reference(const Shape& s, DType dtype) {
  SCOPED_TRACE(testing::Message() << s.n_tokens << " tokens, " << s.n_heads << "/" << s.n_kv_heads
                                  << " heads of " << s.head_dim << ", window " << s.window);
  const int64_t kv_size = s.n_kv_heads * s.n_tokens * s.head_dim;
  TestArray query(encode(random_values(s.n_heads * s.n_tokens * s.head_dim, 1, dtype), dtype));
  TestArray keys(encode(random_values(kv_size, 2, dtype, 2), dtype));
  TestArray values(encode(random_values(kv_size, 3, dtype), dtype));
  TestArray<uint8_t> out(query.size());
  CausalAttention op;
  op.n_tokens = s.n_tokens;
  op.n_heads = s.n_heads;
  op.n_kv_heads = s.n_kv_heads;
  op.head_dim = s.head_dim;
  op.dtype = dtype;
  op.scale = 1 / std::sqrt(static_cast<float>(s.head_dim));
  op.window = s.window;
  op.query = query.data();
  op.query_head_stride = s.rows_of_tokens ? s.head_dim : s.n_tokens * s.head_dim;
  op.query_token_stride = s.rows_of_tokens ? s.n_heads * s.head_dim : s.head_dim;
  op.keys = keys.data();
  op.values = values.data();
  op.out = out.data();
  causal_attention_cpu(op);
  std::vector<uint8_t> want(out.size());
  CausalAttention truth = op;
  truth.out = want.data();
  causal_attention_reference(truth);
  // Sums in float of values of some units; weights in bfloat16 are rounded before them.
  expect_near(decode(out.read(), dtype), decode(want, dtype), 2 * rounding(dtype),
              dtype == DType::kFloat32 ? 1e-5 : 2 * rounding(dtype));
  expect_same_with_any_threads(out, [&] { causal_attention_cpu(op); });
}

TEST_P(CausalAttentionTest, EqualsTheSumsInDouble) {
  for (const Shape& shape :
       {Shape{1, 1, 1, 16, 0, false}, Shape{2, 3, 1, 64, 0, true}, Shape{63, 2, 2, 8, 0, true},
        Shape{64, 4, 2, 80, 0, false}, Shape{65, 3, 3, 96, 0, true}, Shape{130, 9, 3, 64, 0, true},
        Shape{200, 8, 1, 128, 0, true}, Shape{70, 1, 1, 256, 0, false}}) {
    expect_reference(shape, GetParam());
  }
}

TEST_P(CausalAttentionTest, AWindowHidesWhatIsBeforeIt) {
  for (const int64_t window : {1, 2, 7, 63, 64, 65, 100, 128, 199, 200, 300}) {
    expect_reference({200, 4, 2, 16, window, true}, GetParam());
  }
}

// Scores far apart: weights of nothing, and maxima that come late.
TEST(CausalAttention, LateMaximaBringEarlierSumsDown) {
  constexpr int64_t kTokens = 150, kHeadDim = 16;
  std::vector<float> query(kTokens * kHeadDim, 0), keys(query.size(), 0), values(query.size());
  for (int64_t i = 0; i < kTokens; ++i) {
    query[i * kHeadDim] = 1;
    keys[i * kHeadDim] = static_cast<float>(i);
    for (int64_t c = 0; c < kHeadDim; ++c) values[i * kHeadDim + c] = static_cast<float>(i + c);
  }
  std::vector<float> out(query.size()), want(query.size());
  CausalAttention op = {kTokens, 1, 1, kHeadDim, DType::kFloat32, 3.0F};
  op.query = query.data();
  op.query_head_stride = kTokens * kHeadDim;
  op.query_token_stride = kHeadDim;
  op.keys = keys.data();
  op.values = values.data();
  op.out = out.data();
  causal_attention_cpu(op);
  op.out = want.data();
  causal_attention_reference(op);
  expect_near(out, want, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, CausalAttentionTest, testing::ValuesIn(kDTypes));

}  // namespace
}  // namespace kvbench
#endif
