// Queries and keys of new tokens as attention takes them, out of a projection's rows: an RMS norm
// of each head where the model has one (Qwen3, Gemma 3), then the rotation of its position.
//
//   x = x / sqrt(mean(x^2) + eps) * weight               (rounded as rms_norm.h says)
//   out[i] = x[i] cos[i] - x[i + d/2] sin[i]
//   out[i + d/2] = x[i + d/2] cos[i] + x[i] sin[i]       i < d/2
//
// Both products are rounded to float32 before their sum, that to the dtype after it. A row does not
// depend on the rows beside it.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct NormRope {
  int64_t n_rows = 0;  // tokens of all sequences
  int64_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
  DType dtype = DType::kFloat32, weight_dtype = DType::kFloat32;  // weights: the same, or float32
  float eps = 0;
  const void* qkv = nullptr;           // rows of n_heads queries, then n_kv_heads keys, [d] each
  int64_t row_stride = 0;              // in elements; values may stand behind the keys
  const void* query_weight = nullptr;  // [d]; both or none
  const void* key_weight = nullptr;    // [d]
  const float* cos = nullptr;          // [n_rows, d / 2]
  const float* sin = nullptr;
  void* queries = nullptr;         // [n_rows, n_heads, d]
  void* keys = nullptr;            // [n_rows, n_kv_heads, d]
  void* normed_queries = nullptr;  // [n_rows, n_heads, d]: before the rotation; or nullptr
};

// Sums of squares in double; everything else rounds as the contract says.
void norm_rope_reference(const NormRope& op);

void norm_rope_cpu(const NormRope& op);

// head_dim: a multiple of 8 up to 256; row_stride too, and everything on 16 bytes.
CudaStatus norm_rope_cuda(const NormRope& op, CudaStream stream);

}  // namespace kvbench
