// Moving rows into the ragged cache: compaction of kept tokens, and append of new ones in place.
#pragma once

#include "kernels/ragged_cache.h"

namespace kvbench {

// Compaction of one layer of one sequence: out row starts[h] + i = source row kept[offsets[h] + i]
// of head h. Bytes are copied, so any dtype of `element_bytes` bytes will do.
struct RaggedGather {
  int64_t n_kv_heads = 0, n_rows = 0, head_dim = 0, element_bytes = 0;
  const void* source = nullptr;      // [H, T, d] with n_rows = T, contiguous
  const int64_t* kept = nullptr;     // token positions, 0 <= kept < T; head-major
  const int64_t* offsets = nullptr;  // [H + 1] into kept
  const int64_t* starts = nullptr;   // [H] first row of each head in out
  void* out = nullptr;               // [rows, d]
};
void ragged_gather_cpu(const RaggedGather& op);

// Append: row starts + lengths - m + i of each head of each sequence = new token i.
struct RaggedAppend {
  RaggedShape shape;  // n_heads is not used
  int64_t element_bytes = 0;
  const void* source = nullptr;      // [S, m, H, d] contiguous
  void* const* buffers = nullptr;    // S pointers to [rows, d]
  const int64_t* starts = nullptr;   // [S, H]
  const int64_t* lengths = nullptr;  // [S, H], new tokens included
};
void ragged_append_cpu(const RaggedAppend& op);

}  // namespace kvbench
