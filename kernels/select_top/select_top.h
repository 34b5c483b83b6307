// The highest scores of each head: which tokens stay.
//
// Of head h the counts[h] highest of n_tokens scores, ties to the lower position (0.0 and -0.0
// tie). Protected tokens come first: the first `sink` ones, lowest first, then the last `recent`
// ones, latest first, then the highest of the others. Positions come out ascending inside a head.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/stream.h"

namespace kvbench {

struct SelectTop {
  int64_t n_heads = 0, n_tokens = 0;
  int64_t sink = 0, recent = 0;
  const float* scores = nullptr;    // [n_heads, n_tokens]
  const int32_t* counts = nullptr;  // [n_heads]
  int64_t n_positions = 0;          // room of `positions`
  int32_t* positions = nullptr;     // head-major: head h from offsets[h] to offsets[h + 1]
  int32_t* offsets = nullptr;       // [n_heads + 1]
  // [n_heads]: 1 where a score is NaN or the count is not in [0, n_tokens], or the positions have
  // no room left: the head then selects nothing.
  int32_t* invalid = nullptr;
};

// A stable sort of each head.
void select_top_reference(const SelectTop& op);

void select_top_cpu(const SelectTop& op);

CudaStatus select_top_cuda(const SelectTop& op, CudaStream stream);

}  // namespace kvbench
