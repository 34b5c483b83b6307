// Rows of several heads as one list: which head a row belongs to.
#pragma once

#include <cstdint>

namespace kvbench {

inline constexpr int kMostHeads = 1024;  // whose offsets a block keeps in shared memory

// The head whose rows include row i: the last one that begins at or before it and is not empty.
__device__ inline int head_of_row(const int32_t* offsets, int n_heads, int64_t i) {
  int low = 0, high = n_heads;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (offsets[middle] <= i ? low : high) = middle;
  }
  return low;
}

// A block's own copy of offsets[0 ... n_heads].
template <int kThreads>
__device__ inline void load_offsets(const int32_t* from, int n_heads, int32_t* offsets) {
  for (int h = threadIdx.x; h <= n_heads; h += kThreads) offsets[h] = from[h];
  __syncthreads();
}

}  // namespace kvbench
