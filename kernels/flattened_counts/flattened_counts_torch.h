// kernels/flattened_counts/flattened_counts.h as a LibTorch operator,
// torch.ops.kvbench.flattened_counts.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of scores float32 [N, T]: int32 [N] on their device, how many of each row are among the `total`
// highest of all, the `safe` highest of each row first. Throws c10::Error when they do not fit.
at::Tensor flattened_counts(const at::Tensor& scores, int64_t total, int64_t safe);

}  // namespace kvbench
