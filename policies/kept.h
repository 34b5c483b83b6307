// Which tokens of a layer stay: the result of a policy, and what the cache is cut to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "policies/keep_counts.h"

namespace kvbench {

// Positions kept by each KV head of one layer, on the host: ascending inside a head, unless a
// scorer orders its rows by rank (DecodeNeeds::ranked_before_last).
struct KeptTokens {
  std::vector<int64_t> positions;  // head-major
  std::vector<int64_t> offsets;    // [H + 1] into positions

  int64_t n_kv_heads() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t count(int64_t head) const { return offsets[head + 1] - offsets[head]; }
  std::vector<int64_t> counts() const;
};

// The same where the layer's tensors are: no host has waited for it.
struct Selection {
  KeepCounts counts;
  at::Tensor positions;  // int32 [counts.at_most()], head-major; the last ones may mean nothing
  at::Tensor offsets;    // int32 [H + 1] into positions
  at::Tensor invalid;    // int32 [H]: 1 where a score was NaN or a count impossible

  // Waits for the device. Throws std::logic_error when a head is invalid.
  KeptTokens on_host() const;
};

Selection on_device(const KeptTokens& kept, c10::Device device);

// Every one of `n_tokens` tokens in every head.
Selection keep_all(int64_t n_kv_heads, int64_t n_tokens, c10::Device device);

// The last `count` of them, or all where there are fewer, in every head.
Selection keep_latest(int64_t n_kv_heads, int64_t n_tokens, int64_t count, c10::Device device);

// Tokens that stay whatever their scores, the first and the last ones of a layer.
struct Protection {
  int64_t sink = 0, recent = 0;
};

// The counts[h] highest scores of each head. scores: float32 [H, T] on any device; ties go to the
// lower position (policies.md 0.2). Protected tokens come first: the sinks, lowest first, then the
// recent ones, latest first, then the highest of the others.
Selection select(const at::Tensor& scores, const KeepCounts& counts, Protection protection = {});

// The same on the host. Throws std::logic_error when a score is NaN or a count is not in [0, T].
KeptTokens select_top(const at::Tensor& scores, const std::vector<int64_t>& counts,
                      Protection protection = {});

}  // namespace kvbench
