// kernels/cache_rows/cache_move.h as a LibTorch operator, torch.ops.kvbench.cache_move.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Rows from_rows[h] ... of keys and values [rows, d] become rows to_rows[h] ... of out_keys and out_values,
// n_rows[h] of them; the three lists are as long as there are heads. Throws c10::Error when they do
// not fit. No two heads may write the same rows.
void cache_move(const at::Tensor& keys, const at::Tensor& values, at::IntArrayRef from_rows,
                at::IntArrayRef to_rows, at::IntArrayRef n_rows, at::Tensor& out_keys,
                at::Tensor& out_values);

}  // namespace kvbench
