// The most attention that tokens get from any query of a repeat of them: what KVzip and echo rank
// by (Kim et al. 2025, arXiv 2505.23416, equation 2; kvpress 0.5.5, KVzipPress).
//
//   a[g, i, :] = softmax(scale * [ to_others[g, i] . sinks | to_others[g, i] . keys |
//                                  to_own[g, i] . own up to i ])
//   out[h, j]  = max over i and the query heads g of KV head h of
//                query_weights[i] * key_weights[g, j] * a[g, i, key j]
//
// Weights are float32 whatever the dtype. Nothing of size q * m is stored.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct PeakAttention {
  int64_t n_heads = 0, n_kv_heads = 0;             // Hq, a multiple of H
  int64_t n_queries = 0, n_sinks = 0, n_keys = 0;  // q > 0, S >= 0, m > 0
  int64_t head_dim = 0;
  DType dtype = DType::kFloat32;
  float scale = 0;  // > 0
  // [Hq, q, d]: queries as they meet sinks and keys, and as they meet their own tokens.
  HeadRows to_others, to_own;
  HeadRows sinks, keys, own;             // [H, S, d], [H, m, d], [H, q, d], after RoPE
  const float* query_weights = nullptr;  // [q], >= 0, and
  const float* key_weights = nullptr;    // [Hq, m], >= 0: null = 1
  float* out = nullptr;                  // [H, m]
  void* workspace = nullptr;             // CUDA: peak_attention_workspace_bytes() of it
};

// Sums in double.
void peak_attention_reference(const PeakAttention& op);

// The result does not depend on the number of threads.
void peak_attention_cpu(const PeakAttention& op);

// Rows must be whole packs of 16 bytes (HeadRows).
size_t peak_attention_workspace_bytes(const PeakAttention& op);
CudaStatus peak_attention_cuda(const PeakAttention& op, CudaStream stream);

}  // namespace kvbench
