// The middle of a gated MLP as a LibTorch operator, torch.ops.kvbench.gated_activation.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace kvbench {

// gate_up [..., 2 n] (float32, bfloat16, float16) -> [..., n]. kind: "silu" or "gelu_tanh".
// Throws c10::Error for another kind or an odd size.
at::Tensor gated_activation(const at::Tensor& gate_up, std::string_view kind);

// The same into `out`, contiguous.
void gated_activation_out(const at::Tensor& gate_up, std::string_view kind, const at::Tensor& out);

}  // namespace kvbench
