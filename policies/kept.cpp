#include "policies/kept.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/base/error.h"

namespace kvbench {

std::vector<int64_t> KeptTokens::counts() const {
  std::vector<int64_t> all;
  for (int64_t h = 0; h < n_kv_heads(); ++h) all.push_back(count(h));
  return all;
}

KeptTokens keep_all(int64_t n_kv_heads, int64_t n_tokens) {
  KeptTokens kept;
  kept.positions.resize(n_kv_heads * n_tokens);
  for (int64_t h = 0; h <= n_kv_heads; ++h) kept.offsets.push_back(h * n_tokens);
  for (int64_t h = 0; h < n_kv_heads; ++h) {
    std::iota(kept.positions.begin() + kept.offsets[h],
              kept.positions.begin() + kept.offsets[h + 1], int64_t{0});
  }
  return kept;
}

KeptTokens select_top(const at::Tensor& scores, const std::vector<int64_t>& counts) {
  const at::Tensor host = scores.to(at::kCPU, at::kFloat).contiguous();
  KVB_CHECK(host.dim() == 2 && host.size(0) == static_cast<int64_t>(counts.size()),
            "scores must be [H, T] with H = {} keep counts", counts.size());
  const int64_t n_heads = host.size(0), n_tokens = host.size(1);
  KeptTokens kept;
  kept.offsets.push_back(0);
  std::vector<int64_t> order(n_tokens);
  for (int64_t h = 0; h < n_heads; ++h) {
    const float* score = host.const_data_ptr<float>() + h * n_tokens;
    KVB_CHECK(counts[h] >= 0 && counts[h] <= n_tokens, "keep count {} of KV head {} with {} tokens",
              counts[h], h, n_tokens);
    KVB_CHECK(std::none_of(score, score + n_tokens, [](float s) { return std::isnan(s); }),
              "a score of KV head {} is NaN", h);
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto cut = order.begin() + counts[h];
    // A strict total order, so partitioning selects the same set as a stable descending sort.
    std::nth_element(order.begin(), cut, order.end(), [score](int64_t a, int64_t b) {
      return score[a] > score[b] || (score[a] == score[b] && a < b);
    });
    std::sort(order.begin(), cut);
    kept.positions.insert(kept.positions.end(), order.begin(), cut);
    kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
  }
  return kept;
}

}  // namespace kvbench
