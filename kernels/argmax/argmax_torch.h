// kernels/argmax/argmax.h as a LibTorch operator, torch.ops.kvbench.argmax_lowest.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Of logits float32 [S, vocab]: int64 [S] on their device, the lower id on ties, -1 where a row has
// a NaN. Throws c10::Error when they do not fit.
at::Tensor argmax_lowest(const at::Tensor& logits);

// The same into `ids`. workspace: the kernel's scratch memory on the same device, uint8 [n], which
// grows where it is too small.
void argmax_lowest_out(const at::Tensor& logits, const at::Tensor& workspace,
                       const at::Tensor& ids);

}  // namespace kvbench
