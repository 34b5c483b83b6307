// Attention of a whole context as a LibTorch operator, torch.ops.kvbench.causal_attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace kvbench {

// query [Hq, T, d] with contiguous rows, keys and values [H, T, d] contiguous, all float32,
// bfloat16 or float16 of one dtype -> [T, Hq, d]. window: tokens that one sees at most, its own
// included; 0 = all. Throws c10::Error when shapes, dtypes or devices do not fit. A device without
// a kernel of its own takes LibTorch's attention.
at::Tensor causal_attention(const at::Tensor& query, const at::Tensor& keys,
                            const at::Tensor& values, double scale, int64_t window);

}  // namespace kvbench
