// kernels/rms_norm/rms_norm.h as a LibTorch operator, torch.ops.kvbench.rms_norm.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// The norm of x [..., n] times weight [n], in x's dtype. With a residual, contiguous and of x's
// form, x is added to it first, in place, and the norm is the sum's. Throws c10::Error when they do
// not fit.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps,
                    const std::optional<at::Tensor>& residual = std::nullopt);

// The same into `out`, contiguous and of x's form.
void rms_norm_out(const at::Tensor& x, const at::Tensor& weight, double eps,
                  const std::optional<at::Tensor>& residual, const at::Tensor& out);

}  // namespace kvbench
