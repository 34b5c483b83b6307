// Products of matrices that fit into caches, for CPU kernels.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/element.h"

namespace kvbench {

// A block of sums that the vector registers hold: rows, and vectors of columns.
#ifdef __AVX512F__
inline constexpr int64_t kBlockRows = 4, kBlockVecs = 4;
#else
inline constexpr int64_t kBlockRows = 6, kBlockVecs = 2;
#endif

// out[r][c] = sum_k a[r][k] b[k][c], or that added to it; R rows at a time, V vectors of columns.
template <bool kAdd, int64_t R, int64_t V>
void multiply_columns(const float* a, int64_t a_stride, int64_t rows, const float* b,
                      int64_t b_stride, int64_t n, float* out, int64_t out_stride) {
  for (int64_t r0 = 0; r0 < rows; r0 += R) {
    Vec acc[R][V] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const float* row[R];
    for (int64_t r = 0; r < R; ++r) row[r] = a + std::min(r0 + r, rows - 1) * a_stride;
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t v = 0; v < V; ++v) {
        const Vec column = Float32::load_lanes(b + k * b_stride + v * kLanes);
        for (int64_t r = 0; r < R; ++r) acc[r][v] += column * row[r][k];
      }
    }
    for (int64_t r = 0; r < std::min(R, rows - r0); ++r) {
      for (int64_t v = 0; v < V; ++v) {
        float* target = out + (r0 + r) * out_stride + v * kLanes;
        const Vec value = kAdd ? Float32::load_lanes(target) + acc[r][v] : acc[r][v];
        std::memcpy(target, &value, sizeof value);
      }
    }
  }
}

// The same for `columns`, a multiple of kLanes.
template <bool kAdd, int64_t V = kBlockVecs>
void multiply(const float* a, int64_t a_stride, int64_t rows, const float* b, int64_t b_stride,
              int64_t n, int64_t columns, float* out, int64_t out_stride) {
  // Narrow blocks are as much higher, as long as there are rows for them.
  constexpr int64_t kHigh = kBlockRows * kBlockVecs / V;
  const int64_t high_rows = rows / kHigh * kHigh;
  int64_t c = 0;
  for (; c + V * kLanes <= columns; c += V * kLanes) {
    multiply_columns<kAdd, kHigh, V>(a, a_stride, high_rows, b + c, b_stride, n, out + c,
                                     out_stride);
    multiply_columns<kAdd, kBlockRows, V>(a + high_rows * a_stride, a_stride, rows - high_rows,
                                          b + c, b_stride, n, out + high_rows * out_stride + c,
                                          out_stride);
  }
  if constexpr (V > 1) {
    if (c == columns) return;
    multiply<kAdd, V / 2>(a, a_stride, rows, b + c, b_stride, n, columns - c, out + c, out_stride);
  }
}

}  // namespace kvbench
