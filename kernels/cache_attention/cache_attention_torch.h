// kernels/cache_attention/cache_attention.h as a LibTorch operator,
// torch.ops.kvbench.cache_attention.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// out [S, m, Hq, d] of query [S, m, Hq, d] over the batch's keys and values [rows, d], all of one
// dtype (float32, bfloat16, float16). starts and lengths, the m new tokens included, are int64
// [S, H]. window: tokens that a token sees at most, 0 = all. items int32 [n, 4] and first_items
// int32 [S * H + 1]: a plan of how CUDA shares out the rows (decode_plan.h), or neither. Throws
// c10::Error when they do not fit; only on a CPU the rows are checked too.
at::Tensor cache_attention(const at::Tensor& query, const at::Tensor& keys,
                           const at::Tensor& values, const at::Tensor& starts,
                           const at::Tensor& lengths, double scale, int64_t window = 0,
                           const std::optional<at::Tensor>& items = std::nullopt,
                           const std::optional<at::Tensor>& first_items = std::nullopt);

// The same into `out`, contiguous and of the query's form. workspace: the kernel's scratch memory
// on the same device, uint8 [n], which grows where it is too small.
void cache_attention_out(const at::Tensor& query, const at::Tensor& keys, const at::Tensor& values,
                         const at::Tensor& starts, const at::Tensor& lengths, double scale,
                         int64_t window, const std::optional<at::Tensor>& items,
                         const std::optional<at::Tensor>& first_items, const at::Tensor& workspace,
                         const at::Tensor& out);

}  // namespace kvbench
