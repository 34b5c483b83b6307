// kernels/peak_attention/peak_attention.h as a LibTorch operator, torch.ops.kvbench.peak_attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace kvbench {

// Of queries [Hq, q, d] as they meet others and their own tokens, and sinks [H, S, d], keys
// [H, m, d] and own [H, q, d]: float32 [H, m]. query_weights: float32 [q]; key_weights: float32
// [Hq, m].
at::Tensor peak_attention(const at::Tensor& to_others, const at::Tensor& to_own,
                          const at::Tensor& sinks, const at::Tensor& keys, const at::Tensor& own,
                          double scale, const std::optional<at::Tensor>& query_weights = {},
                          const std::optional<at::Tensor>& key_weights = {});

}  // namespace kvbench
