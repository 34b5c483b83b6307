// kernels/projected_value_norms/projected_value_norms.h as a LibTorch operator,
// torch.ops.kvbench.projected_value_norms.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of values [H, T, d] and W_O [D, Hq d]: float32 [Hq, T] with p = 2, [H, T] with p = 1.
at::Tensor projected_value_norms(const at::Tensor& values, const at::Tensor& output_weight,
                                 int64_t p);

}  // namespace kvbench
