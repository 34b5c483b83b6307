// The LibTorch face of operators that score keys by the keys alone.
#pragma once

#include "kernels/common/checks_torch.h"
#include "kernels/common/launch_torch.h"

namespace kvbench {

// keys [H, T, d] -> float32 [H, T].
template <class Op>
at::Tensor scores_of_keys(const Implementations<Op>& implementations, const at::Tensor& keys) {
  check_head_rows(keys, "keys");
  const at::Tensor rows = with_whole_rows(keys);
  at::Tensor out = at::empty({keys.size(0), keys.size(1)}, keys.options().dtype(at::kFloat));
  Op op;
  op.n_heads = keys.size(0);
  op.n_rows = keys.size(1);
  op.head_dim = keys.size(2);
  op.dtype = dtype_of(keys);
  op.keys = head_rows(rows);
  op.out = out.mutable_data_ptr<float>();
  launch(implementations, op, keys.device());
  return out;
}

}  // namespace kvbench
