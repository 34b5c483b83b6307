// kernels/oracle_step/oracle_step.h as a LibTorch operator, torch.ops.kvbench.oracle_step.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Raises importance float32 [H, T] in place by what query [Hq, d] pays to the first T of keys
// [H, n, d], n >= T, times norms float32 [Hq, T].
void oracle_step(const at::Tensor& importance, const at::Tensor& query, const at::Tensor& keys,
                 const at::Tensor& norms, double scale);

}  // namespace kvbench
