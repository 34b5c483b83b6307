// RMS norm of rows (Zhang and Sennrich, arXiv 1910.07467), where a residual stream may take a
// change first:
//
//   s = residual + x rounded to the dtype, which becomes the residual; or x
//   out = s / sqrt(mean(s^2) + eps) * weight
//
// The quotient is rounded to the weight's dtype before the product, and the product after it, as
// transformers does with a weight of the model's dtype; one of float32 (Gemma) rounds once, at the
// end. A row does not depend on the rows beside it.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct RmsNorm {
  int64_t n_rows = 0, n_columns = 0;
  DType dtype = DType::kFloat32, weight_dtype = DType::kFloat32;  // weight: the same, or float32
  float eps = 0;
  const void* x = nullptr;       // [n_rows, n_columns] contiguous
  const void* weight = nullptr;  // [n_columns]
  void* residual = nullptr;      // [n_rows, n_columns], or nullptr
  void* out = nullptr;           // [n_rows, n_columns]; may be x
};

// Sums in double.
void rms_norm_reference(const RmsNorm& op);

void rms_norm_cpu(const RmsNorm& op);

// n_columns: a multiple of 8 up to 16384, of float32 up to 8192; everything on 16 bytes.
CudaStatus rms_norm_cuda(const RmsNorm& op, CudaStream stream);

}  // namespace kvbench
