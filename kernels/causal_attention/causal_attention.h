// Causal attention of a whole context over itself: a prefill's.
//
//   out[i, q] = sum_j softmax_j(scale * query[q, i] . key[h, j]) value[h, j],   h = q / (Hq / H)
//
// over the tokens j <= i, with a sliding window of w only the last w of them.
#pragma once

#include <cstdint>

#include "kernels/common/ragged_cache.h"

namespace kvbench {

struct CausalAttention {
  int64_t n_tokens = 0;  // T, at least 1
  int64_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
  DType dtype = DType::kFloat32;  // of all
  float scale = 0;                // 1 / sqrt(head_dim) for the supported models
  int64_t window = 0;             // tokens that one sees at most; 0 = all
  const void* query = nullptr;    // [Hq, T, d], each row contiguous:
  int64_t query_head_stride = 0, query_token_stride = 0;  // elements
  const void* keys = nullptr;                             // [H, T, d] contiguous, as values
  const void* values = nullptr;
  void* out = nullptr;  // [T, Hq, d] contiguous
};

// Plain loops, every sum in double.
void causal_attention_reference(const CausalAttention& op);

// Threaded (OpenMP) over heads and blocks of tokens; the result does not depend on the number of
// threads. Sums are float. Where the CPU multiplies pairs of bfloat16, a bfloat16 weight is rounded
// before it meets its value. Holds the keys and values once more meanwhile.
void causal_attention_cpu(const CausalAttention& op);

}  // namespace kvbench
