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

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"
#include "kernels/decode_plan/decode_plan.h"

namespace kvbench {

struct CacheAttention {
  RaggedCache cache;            // lengths include the new tokens; each >= m
  int64_t n_tokens = 0;         // m: new tokens of each sequence in this call
  int64_t n_heads = 0;          // Hq, query heads; a multiple of H
  float scale = 0;              // > 0; 1 / sqrt(head_dim) for the supported models
  int64_t window = 0;           // rows that a token sees at most; 0 = all
  const void* query = nullptr;  // [S, m, Hq, d] contiguous, in the cache's dtype as out
  void* out = nullptr;          // [S, m, Hq, d]

  // How CUDA shares out the cache's rows (decode_plan.h), of a window those in it. Without: a head
  // is one share, which is enough for a block of tokens.
  const DecodeItem* items = nullptr;     // [n_items]
  const int32_t* first_items = nullptr;  // [S * H + 1]
  int64_t n_items = 0;
  void* workspace = nullptr;  // CUDA: cache_attention_workspace_bytes() of it

  RaggedShape shape() const {
    return {cache.n_sequences, n_tokens, n_heads, cache.n_kv_heads, cache.head_dim};
  }
};

// Plain loops, every sum in double: the truth that the fast ones are tested against.
void cache_attention_reference(const CacheAttention& op);

// Threaded (OpenMP) and vectorised; float sums. The result does not depend on the number of
// threads nor on which other sequences are in the call. Where the machine multiplies pairs of
// bfloat16, the weights of more than 16 bfloat16 query rows of a KV head are rounded to it.
void cache_attention_cpu(const CacheAttention& op);

// Reads each key and value once for every 8 query rows of a KV head, a GQA group of up to 8 in
// decode; of more than 16 rows in 16 bits without a plan once for every 64, by tensor cores, with
// weights rounded to the dtype. The order of the sums follows the plan. head_dim: a multiple of 8
// up to 256.
size_t cache_attention_workspace_bytes(const CacheAttention& op);
CudaStatus cache_attention_cuda(const CacheAttention& op, CudaStream stream);

}  // namespace kvbench
