// kernels/attention_column_sums/attention_column_sums.h as a LibTorch operator,
// torch.ops.kvbench.attention_column_sums.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of the last queries [Hq, Q, d] and keys [H, T, d]: float32 [H, T], means over the GQA group, or
// [Hq, T] with of_heads.
at::Tensor attention_column_sums(const at::Tensor& queries, const at::Tensor& keys, double scale,
                                 bool of_heads = false);

}  // namespace kvbench
