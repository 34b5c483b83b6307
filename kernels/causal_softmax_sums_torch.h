// Causal attention sums as a LibTorch operator, torch.ops.kvbench.causal_softmax_sums.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// What each key gets of the attention of the latest queries, [heads, keys]: the causal softmax of
// their logits, float32 [heads, queries, keys], summed over the queries. Query i sees the first
// keys - queries + 1 + i keys; its other logits count for nothing.
at::Tensor causal_softmax_sums(const at::Tensor& logits);

// The same by LibTorch's own operators: runs on every device, and is what a device without a kernel
// of its own uses.
at::Tensor causal_softmax_sums_composite(const at::Tensor& logits);

}  // namespace kvbench
