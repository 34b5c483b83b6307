// kernels/norm_rope/norm_rope.h as a LibTorch operator, torch.ops.kvbench.norm_rope.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace kvbench {

// Out of a projection's rows qkv [S, m, (Hq + 2 H) d], contiguous: queries [S, m, Hq, d] and keys
// [S, m, H, d] at their positions, whose cos and sin are float32 [S, m, 1, d / 2]; and the queries
// before the rotation. These, and the norms, are there only with the weights [d] of both norms:
// else the rows of qkv are those queries, and the third tensor is empty.
std::tuple<at::Tensor, at::Tensor, at::Tensor> norm_rope(
    const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads, const at::Tensor& cos,
    const at::Tensor& sin, const std::optional<at::Tensor>& query_weight,
    const std::optional<at::Tensor>& key_weight, double eps);

// The same into contiguous tensors of these forms.
void norm_rope_out(const at::Tensor& qkv, int64_t n_heads, int64_t n_kv_heads,
                   const at::Tensor& cos, const at::Tensor& sin,
                   const std::optional<at::Tensor>& query_weight,
                   const std::optional<at::Tensor>& key_weight, double eps,
                   const at::Tensor& queries, const at::Tensor& keys,
                   const at::Tensor& normed_queries);

}  // namespace kvbench
