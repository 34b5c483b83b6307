#include "policies/peak_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

// The same in double, a query at a time.
at::Tensor reference(const PeakAttention& a) {
  const int64_t n_heads = a.keys.size(0), group = a.to_own.size(0) / n_heads;
  const int64_t n_queries = a.to_own.size(1), n_keys = a.keys.size(1), n_sinks = a.sinks.size(1);
  at::Tensor peaks = at::zeros({n_heads, n_keys}, at::kDouble);
  for (int64_t h = 0; h < n_heads; ++h) {
    for (int64_t g = h * group; g < (h + 1) * group; ++g) {
      for (int64_t i = 0; i < n_queries; ++i) {
        const at::Tensor others = at::cat({a.sinks[h], a.keys[h]}).to(at::kDouble);
        const at::Tensor seen = a.own[h].narrow(0, 0, i + 1).to(at::kDouble);
        const at::Tensor logits = at::cat({others.mv(a.to_others[g][i].to(at::kDouble)),
                                           seen.mv(a.to_own[g][i].to(at::kDouble))});
        at::Tensor weights = (logits * a.scale).softmax(0).narrow(0, n_sinks, n_keys);
        if (a.query_weights.defined()) weights = weights * a.query_weights[i].to(at::kDouble);
        if (a.key_weights.defined()) weights = weights * a.key_weights[g].to(at::kDouble);
        peaks[h] = at::maximum(peaks[h], weights);
      }
    }
  }
  return peaks;
}

PeakAttention random_attention(int64_t n_heads, int64_t group, int64_t n_queries, int64_t n_sinks,
                               int64_t n_keys, int64_t head_dim = 8) {
  at::manual_seed(n_queries);
  PeakAttention a;
  a.scale = 0.7;
  a.to_others = at::randn({n_heads * group, n_queries, head_dim});
  a.to_own = at::randn({n_heads * group, n_queries, head_dim});
  a.sinks = at::randn({n_heads, n_sinks, head_dim});
  a.keys = at::randn({n_heads, n_keys, head_dim});
  a.own = at::randn({n_heads, n_queries, head_dim});
  return a;
}

TEST(PeakAttention, IsTheReference) {
  struct Sizes {
    int64_t n_heads, group, n_queries, n_sinks, n_keys;
  };
  for (const Sizes& s :
       {Sizes{1, 1, 1, 0, 1}, {2, 1, 7, 4, 5}, {2, 4, 33, 4, 19}, {1, 3, 5, 2, 64}}) {
    PeakAttention a = random_attention(s.n_heads, s.group, s.n_queries, s.n_sinks, s.n_keys);
    testing::expect_near(peak_attention(a), reference(a), 1e-6);
    a.query_weights = at::rand({s.n_queries});
    a.key_weights = at::rand({s.n_heads * s.group, s.n_keys}) * 3;
    testing::expect_near(peak_attention(a), reference(a), 3e-6);
  }
}

// More queries than a block has: 2^22 logits are 4 blocks here.
TEST(PeakAttention, BlocksOfQueriesAreOne) {
  const PeakAttention a = random_attention(1, 2, 2000, 4, 2100);
  const at::Tensor whole = peak_attention(a);
  at::Tensor peaks = at::zeros({2100});
  const at::Tensor others = at::cat({a.sinks[0], a.keys[0]}).t();
  for (int64_t i = 0; i < 2000; ++i) {  // a query alone
    const at::Tensor logits =
        at::cat({at::mm(a.to_others.select(1, i), others),
                 at::mm(a.to_own.select(1, i), a.own[0].narrow(0, 0, i + 1).t())},
                1);
    peaks = at::maximum(peaks, (logits * a.scale).softmax(-1).narrow(1, 4, 2100).amax(0));
  }
  testing::expect_near(whole, peaks.unsqueeze(0), 1e-6);
}

TEST(PeakAttention, ThreadsChangeNoBit) {
  const PeakAttention a = random_attention(3, 3, 500, 4, 460, /*head_dim=*/64);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor want = peak_attention(a);
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(peak_attention(a), want)) << threads;
  }
  at::set_num_threads(before);
}

TEST(PeakAttention, HalfPrecisionIsSummedInFloat) {
  PeakAttention a = random_attention(2, 2, 9, 3, 11);
  for (at::Tensor* tensor : {&a.to_others, &a.to_own, &a.sinks, &a.keys, &a.own}) {
    *tensor = tensor->to(at::kBFloat16);
  }
  testing::expect_near(peak_attention(a), reference(a), 1e-6);
}

}  // namespace
}  // namespace kvbench
