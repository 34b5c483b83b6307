// kernels/key_similarity/key_similarity.h as a LibTorch operator, torch.ops.kvbench.key_similarity.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of keys [H, T, d]: float32 [H, T] on their device.
at::Tensor key_similarity(const at::Tensor& keys);

}  // namespace kvbench
