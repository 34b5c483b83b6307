// kernels/cache_cut/cache_cut.h as a LibTorch operator, torch.ops.kvbench.cache_cut.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Leaves of head h's rows in keys and values [rows, d], which begin at starts[h], those at
// positions[i] for i in offsets[h] .. offsets[h + 1] - 1, ascending: they become its first ones,
// lengths[h] of them. Returns the row that each was before, [positions] int32, undefined behind
// offsets[H]. positions and offsets [H + 1] are int32, starts and lengths [H] int64, all on one
// device. Throws c10::Error when they do not fit; only on a CPU the positions themselves are
// checked too.
at::Tensor cache_cut(const at::Tensor& positions, const at::Tensor& offsets,
                     const at::Tensor& starts, at::Tensor& keys, at::Tensor& values,
                     at::Tensor& lengths);

}  // namespace kvbench
