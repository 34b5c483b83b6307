// How much a value can move the attention's output: norms of its projections by W_O^(q), the
// columns of the output projection that query head q feeds.
//
//   p = 2: out[q, t] = ||W_O^(q) v_t||_2                                  (LU-KV's oracle)
//   p = 1: out[h, t] = mean over the GQA group of ||W_O^(q) v_t||_1       (CriticalKV, arXiv
//   2502.03805)
//
// The projected values themselves are never stored.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct ProjectedValueNorms {
  int64_t n_heads = 0, n_query_heads = 0, n_rows = 0, head_dim = 0, hidden = 0;
  DType dtype = DType::kFloat32;  // of values and weight
  int p = 2;
  HeadRows values;
  const void* output_weight = nullptr;  // [hidden, n_query_heads * head_dim] contiguous
  float* out = nullptr;                 // p = 2: [n_query_heads, n_rows]; p = 1: [n_heads, n_rows]
};

// Sums in double.
void projected_value_norms_reference(const ProjectedValueNorms& op);

// p = 2 by the quadratic form v^T (W^T W) v, which costs head_dim per entry of v instead of hidden;
// it is in double, as the form squares what is lost by rounding.
void projected_value_norms_cpu(const ProjectedValueNorms& op);

// head_dim: a multiple of 8 up to 256; the weight on 16 bytes. Half types on tensor cores.
CudaStatus projected_value_norms_cuda(const ProjectedValueNorms& op, CudaStream stream);

}  // namespace kvbench
