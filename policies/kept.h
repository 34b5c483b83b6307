// Which tokens of a layer stay: the result of a policy, and what the cache is cut to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace kvbench {

// Positions kept by each KV head of one layer, ascending inside a head.
struct KeptTokens {
  std::vector<int64_t> positions;  // head-major
  std::vector<int64_t> offsets;    // [H + 1] into positions

  int64_t n_kv_heads() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t count(int64_t head) const { return offsets[head + 1] - offsets[head]; }
  std::vector<int64_t> counts() const;
};

// Every one of `n_tokens` tokens in every head.
KeptTokens keep_all(int64_t n_kv_heads, int64_t n_tokens);

// The last `count` of them, or all where there are fewer, in every head.
KeptTokens keep_latest(int64_t n_kv_heads, int64_t n_tokens, int64_t count);

// Tokens that stay whatever their scores, the first and the last ones of a layer.
struct Protection {
  int64_t sink = 0, recent = 0;
};

// The counts[h] highest scores of each head. scores: float32 [H, T] on any device; ties go to the
// lower position (policies.md 0.2). Protected tokens come first: the sinks, lowest first, then the
// recent ones, latest first, then the highest of the others. Throws std::logic_error when a score
// is NaN or a count is not in [0, T].
KeptTokens select_top(const at::Tensor& scores, const std::vector<int64_t>& counts,
                      Protection protection = {});

}  // namespace kvbench
