// Moving rows into the ragged cache as LibTorch operators, torch.ops.kvbench.ragged_append and
// ragged_gather. The *_composite forms are the same by LibTorch's own operators: they run on every
// device, and are what a device without a kernel of its own uses.
//
// S sequences, H KV heads, m new tokens, d = head_dim. starts and lengths are int64 [S, H] on the
// device of the cache. See ragged_cache.h for the layout.
#pragma once

#include <ATen/core/Tensor.h>

namespace kvbench {

// Writes m new rows of every head, [S, m, H, d], behind the cached ones in place; lengths include
// them already. The caller has made sure of capacity.
void ragged_append(const at::Tensor& rows, at::TensorList buffers, const at::Tensor& starts,
                   const at::Tensor& lengths);
void ragged_append_composite(const at::Tensor& rows, at::TensorList buffers,
                             const at::Tensor& starts, const at::Tensor& lengths);

// Copies the kept rows of source [H, T, d] to out [rows, d]: head h gets source[h, kept[i]] for i
// in offsets[h] .. offsets[h+1]-1, from row starts[h] on. kept, offsets [H+1], starts [H] are
// int64.
void ragged_gather(const at::Tensor& source, const at::Tensor& kept, const at::Tensor& offsets,
                   const at::Tensor& starts, at::Tensor& out);
void ragged_gather_composite(const at::Tensor& source, const at::Tensor& kept,
                             const at::Tensor& offsets, const at::Tensor& starts, at::Tensor& out);

}  // namespace kvbench
