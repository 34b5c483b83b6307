// The projection of few rows as a LibTorch operator, torch.ops.kvbench.skinny_linear.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

namespace kvbench {

// x [..., in], weight [out, in] and bias [out], all float32, bfloat16 or float16 of one dtype ->
// [..., out]. Throws c10::Error when shapes, dtypes or devices do not fit. A device without a
// kernel of its own takes LibTorch's product, whose order of sums may depend on the number of rows.
at::Tensor skinny_linear(const at::Tensor& x, const at::Tensor& weight,
                         const std::optional<at::Tensor>& bias);

// The same into `out`, contiguous.
void skinny_linear_out(const at::Tensor& x, const at::Tensor& weight,
                       const std::optional<at::Tensor>& bias, const at::Tensor& out);

}  // namespace kvbench
