// kernels/cache_rows/cache_append.h as a LibTorch operator, torch.ops.kvbench.cache_append.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Writes m new rows of every head, keys and values [S, m, H, d], behind the cached ones in
// cached_keys and cached_values [rows, d], in place. starts and lengths, the new rows included, are
// int64 [S, H]. Throws c10::Error when they do not fit; only on a CPU the rows are checked too.
void cache_append(const at::Tensor& keys, const at::Tensor& values, const at::Tensor& cached_keys,
                  const at::Tensor& cached_values, const at::Tensor& starts,
                  const at::Tensor& lengths);

}  // namespace kvbench
