// kernels/holds_positions/holds_positions.h as a LibTorch operator, torch.ops.kvbench.holds_positions.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// uint8 [H, n]: 1 where a head's positions hold wanted[i]. positions: int32 [at least offsets[H]];
// offsets: int32 [H + 1]; wanted: int32 [n], ascending. Throws c10::Error when they do not fit; only
// on a CPU the offsets are checked too.
at::Tensor holds_positions(const at::Tensor& positions, const at::Tensor& offsets,
                           const at::Tensor& wanted);

}  // namespace kvbench
