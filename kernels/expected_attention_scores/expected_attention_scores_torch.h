// kernels/expected_attention_scores/expected_attention_scores.h as a LibTorch operator,
// torch.ops.kvbench.expected_attention_scores.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of keys and values [H, T, d], linear float32 [Hq, d] and quadratic float32 [Hq, d, d] (or none):
// float32 [H, T - n_sink]. Without use_vnorm neither eps nor the values' norms count.
at::Tensor expected_attention_scores(const at::Tensor& keys, const at::Tensor& values,
                                     const at::Tensor& linear,
                                     const std::optional<at::Tensor>& quadratic, int64_t n_sink,
                                     bool softmax_over_sinks, bool use_vnorm, double eps);

}  // namespace kvbench
