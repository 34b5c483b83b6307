// kernels/attention_column_sums/attention_column_sums.h as a LibTorch operator,
// torch.ops.kvbench.attention_column_sums.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace kvbench {

// Of the last queries [Hq, Q, d] and keys [H, T, d]: float32 [H, T], or [Hq, T] where `group` is
// "none". group: "mean" or "max" of the weights of a GQA group, "max_logit" or "none". Not causal:
// every query sees all keys, and there may be more of them.
at::Tensor attention_column_sums(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                 std::string_view group = "mean", bool causal = true);

}  // namespace kvbench
