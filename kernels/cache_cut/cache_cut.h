// The cut of one layer of one sequence where it lies: rows that leave make room for those that
// stay.
//
// Of head h the rows positions[offsets[h]] ... positions[offsets[h + 1] - 1] stay, n of them. Those
// below n keep their place; each hole below n takes one of the others, the first hole the first of
// them. So no more rows move than must, and the head's rows are its first n then. A gather keeps
// the order of tokens, but moves every row and needs a second buffer.
#pragma once

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct CacheCut {
  int64_t n_kv_heads = 0, head_dim = 0, element_bytes = 0;
  const int32_t* positions = nullptr;  // [n_positions] rows of a head, ascending inside it
  const int32_t* offsets = nullptr;    // [H + 1] into positions
  int64_t n_positions = 0;             // no fewer than offsets[H]
  const int64_t* starts = nullptr;     // [H] first row of each head
  void* keys = nullptr;                // [rows, d]
  void* values = nullptr;              // [rows, d]
  int64_t* lengths = nullptr;          // [H], written: the rows that stayed
  // [n_positions], written: row i of head h was its row source_row[offsets[h] + i] before, for what
  // else goes with the tokens.
  int32_t* source_row = nullptr;
};

// Lists of holes and of rows that move.
void cache_cut_reference(const CacheCut& op);

void cache_cut_cpu(const CacheCut& op);

// At most 1024 heads, elements of 2 or 4 bytes.
CudaStatus cache_cut_cuda(const CacheCut& op, CudaStream stream);

}  // namespace kvbench
