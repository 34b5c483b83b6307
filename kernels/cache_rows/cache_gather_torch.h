// kernels/cache_rows/cache_gather.h as a LibTorch operator, torch.ops.kvbench.cache_gather.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Copies the kept rows of keys and values [H, T, d] to out_keys and out_values [rows, d]: head h
// gets the rows positions[i] for i in offsets[h] .. offsets[h + 1] - 1, from row starts[h] on.
// positions and offsets [H + 1] are int32, starts [H] int64, all on one device. Throws c10::Error
// when they do not fit; only on a CPU the positions and rows themselves are checked too.
void cache_gather(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& positions,
                  const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out_keys,
                  at::Tensor& out_values);

}  // namespace kvbench
