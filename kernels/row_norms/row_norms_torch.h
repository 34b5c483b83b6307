// kernels/row_norms/row_norms.h as a LibTorch operator, torch.ops.kvbench.row_norms.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of rows [H, T, d]: their p-norms, p = 1 or 2, float32 [H, T] on their device.
at::Tensor row_norms(const at::Tensor& rows, int64_t p);

}  // namespace kvbench
