// Norms of keys or values: out[h, t] = ||rows[h, t]||_p, p = 1 or 2.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct RowNorms {
  int64_t n_heads = 0, n_rows = 0, head_dim = 0;
  DType dtype = DType::kFloat32;
  int p = 2;
  HeadRows rows;
  float* out = nullptr;  // [n_heads, n_rows]
};

// Sums in double.
void row_norms_reference(const RowNorms& op);

void row_norms_cpu(const RowNorms& op);

// head_dim: a multiple of 8 up to 256.
CudaStatus row_norms_cuda(const RowNorms& op, CudaStream stream);

}  // namespace kvbench
