// Attention over the ragged cache as a LibTorch operator, torch.ops.kvbench.ragged_attention.
//
// S sequences, H KV heads, Hq query heads, m new tokens, d = head_dim. starts and lengths are int64
// [S, H] on the device of the cache. See ragged_cache.h for the layout.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// out [S, m, Hq, d] of query [S, m, Hq, d] over keys, values: S tensors [rows_s, d] of one dtype
// (float32, bfloat16, float16). lengths include the m new tokens. window: see ragged_attention.h.
// Throws c10::Error when shapes, dtypes or devices do not fit.
at::Tensor ragged_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                            const at::Tensor& starts, const at::Tensor& lengths, double scale,
                            int64_t window = 0);

// The same by LibTorch's own operators, head by head: runs on every device, and is what a device
// without a kernel of its own uses.
at::Tensor ragged_attention_composite(const at::Tensor& query, at::TensorList keys,
                                      at::TensorList values, const at::Tensor& starts,
                                      const at::Tensor& lengths, double scale, int64_t window = 0);

}  // namespace kvbench
