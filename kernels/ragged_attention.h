// Attention of m new tokens over a ragged cache that already holds their keys and values.
//
//   out[s, i, q] = sum_j softmax_j(scale * query[s, i, q] . key_j) value_j
//
// over the rows j of KV head q / (Hq / H) that token i may see: with length n, the first
// n - m + 1 + i rows (all kept ones, and the new ones up to itself). Serves a block of question
// tokens (m > 1) and single-token decode (m = 1). No repeat of K or V over the GQA group.
// With a sliding window of w only the last w of them, its own included: rows are then tokens
// without a gap, as the cache of a windowed layer holds them.
#pragma once

#include "kernels/ragged_cache.h"

namespace kvbench {

struct RaggedAttention {
  RaggedShape shape;
  DType dtype = DType::kFloat32;        // of query, keys, values and out
  float scale = 0;                      // 1 / sqrt(head_dim) for the supported models
  int64_t window = 0;                   // rows that a token sees at most; 0 = all
  const void* query = nullptr;          // [S, m, Hq, d] contiguous
  const void* const* keys = nullptr;    // S pointers to [rows, d]
  const void* const* values = nullptr;  // S pointers to [rows, d]
  const int64_t* starts = nullptr;      // [S, H]
  const int64_t* lengths = nullptr;     // [S, H], new tokens included; each >= m
  void* out = nullptr;                  // [S, m, Hq, d]
};

// Plain loops, every sum in double: the truth that the fast ones are tested against.
void ragged_attention_reference(const RaggedAttention& op);

// Threaded (OpenMP) and vectorised; float sums. The result does not depend on the number of
// threads nor on which other sequences are in the call.
void ragged_attention_cpu(const RaggedAttention& op);

}  // namespace kvbench
