// kernels/keydiff_scores/keydiff_scores.h as a LibTorch operator, torch.ops.kvbench.keydiff_scores.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of keys [H, T, d]: float32 [H, T] on their device.
at::Tensor keydiff_scores(const at::Tensor& keys);

}  // namespace kvbench
