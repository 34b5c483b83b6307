#include "policies/kept.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "harness/base/error.h"

namespace kvbench {
namespace {

bool has_nan(const float* score, int64_t n_tokens) {
  bool found = false;  // without an early exit the loop is vectorised
  for (int64_t j = 0; j < n_tokens; ++j) found |= std::isnan(score[j]);
  return found;
}

void append_range(int64_t begin, int64_t end, std::vector<int64_t>& positions) {
  for (int64_t j = begin; j < end; ++j) positions.push_back(j);
}

// Appends the positions in [begin, end) of the `count` highest scores, ascending; ties go to the
// lower one. Bare values are partitioned: several times faster than positions by their values.
void append_top(const float* score, int64_t begin, int64_t end, int64_t count,
                std::vector<int64_t>& positions) {
  if (count <= 0) return;
  std::vector<float> ranked(score + begin, score + end);
  const auto last = ranked.begin() + (count - 1);
  std::nth_element(ranked.begin(), last, ranked.end(), std::greater<>());
  const float lowest = *last;
  int64_t ties = count - std::count_if(ranked.begin(), last, [=](float s) { return s > lowest; });
  for (int64_t j = begin; j < end; ++j) {
    if (score[j] > lowest || (score[j] == lowest && ties-- > 0)) positions.push_back(j);
  }
}

}  // namespace

std::vector<int64_t> KeptTokens::counts() const {
  std::vector<int64_t> all;
  for (int64_t h = 0; h < n_kv_heads(); ++h) all.push_back(count(h));
  return all;
}

KeptTokens keep_latest(int64_t n_kv_heads, int64_t n_tokens, int64_t count) {
  const int64_t first = std::max<int64_t>(0, n_tokens - count);
  KeptTokens kept;
  kept.offsets.push_back(0);
  for (int64_t h = 0; h < n_kv_heads; ++h) {
    append_range(first, n_tokens, kept.positions);
    kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
  }
  return kept;
}

KeptTokens keep_all(int64_t n_kv_heads, int64_t n_tokens) {
  return keep_latest(n_kv_heads, n_tokens, n_tokens);
}

KeptTokens select_top(const at::Tensor& scores, const std::vector<int64_t>& counts,
                      Protection protection) {
  const at::Tensor host = scores.to(at::kCPU, at::kFloat).contiguous();
  KVB_CHECK(host.dim() == 2 && host.size(0) == static_cast<int64_t>(counts.size()),
            "scores must be [H, T] with H = {} keep counts", counts.size());
  const int64_t n_heads = host.size(0), n_tokens = host.size(1);
  const int64_t sink = std::min(protection.sink, n_tokens);
  const int64_t recent = std::min(protection.recent, n_tokens - sink);
  KeptTokens kept;
  kept.offsets.push_back(0);
  for (int64_t h = 0; h < n_heads; ++h) {
    const float* score = host.const_data_ptr<float>() + h * n_tokens;
    KVB_CHECK(counts[h] >= 0 && counts[h] <= n_tokens, "keep count {} of KV head {} with {} tokens",
              counts[h], h, n_tokens);
    KVB_CHECK(!has_nan(score, n_tokens), "a score of KV head {} is NaN", h);
    const int64_t n_first = std::min(sink, counts[h]);
    const int64_t n_last = std::min(recent, counts[h] - n_first);
    append_range(0, n_first, kept.positions);
    append_top(score, sink, n_tokens - recent, counts[h] - n_first - n_last, kept.positions);
    append_range(n_tokens - n_last, n_tokens, kept.positions);
    kept.offsets.push_back(static_cast<int64_t>(kept.positions.size()));
  }
  return kept;
}

}  // namespace kvbench
