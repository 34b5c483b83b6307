// The kernels as LibTorch operators: the only file of this folder that sees LibTorch. Each checks
// shapes, dtypes and devices, then calls the kernel of the device. Registered as
// torch.ops.kvbench.*, so Python can load (libkvbench_ops.so) and call them too.
//
// S sequences, H KV heads, Hq query heads, m new tokens, d = head_dim. starts and lengths are int64
// [S, H] on the device of the cache. See ragged_cache.h for the layout.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace kvbench {

// out [S, m, Hq, d] of query [S, m, Hq, d] over keys, values: S tensors [rows_s, d] of one dtype
// (float32, bfloat16, float16). lengths include the m new tokens.
// Throws c10::Error when shapes, dtypes or devices do not fit.
at::Tensor ragged_attention(const at::Tensor& query, at::TensorList keys, at::TensorList values,
                            const at::Tensor& starts, const at::Tensor& lengths, double scale);

// The same by LibTorch's own operators, head by head: runs on every device, and is what a device
// without a kernel of its own uses.
at::Tensor ragged_attention_composite(const at::Tensor& query, at::TensorList keys,
                                      at::TensorList values, const at::Tensor& starts,
                                      const at::Tensor& lengths, double scale);

// Writes m new rows of every head, [S, m, H, d], behind the cached ones in place; lengths include
// them already. The caller has made sure of capacity.
void ragged_append(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                   const at::Tensor& lengths);

// Copies the kept rows of source [H, T, d] to out [rows, d]: head h gets source[h, kept[i]] for i
// in offsets[h] .. offsets[h+1]-1, from row starts[h] on. kept, offsets [H+1], starts [H] are
// int64.
void ragged_gather(const at::Tensor& source, const at::Tensor& kept, const at::Tensor& offsets,
                   const at::Tensor& starts, at::Tensor& out);

// What each key gets of the attention of the latest queries, [heads, keys]: the causal softmax of
// their logits, float32 [heads, queries, keys], summed over the queries. Query i sees the first
// keys - queries + 1 + i keys; its other logits count for nothing.
at::Tensor causal_softmax_sums(const at::Tensor& logits);

}  // namespace kvbench
