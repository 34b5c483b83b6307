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

// out[r][c] = sum_k a[r][k] b[k][c], or that added to it; V vectors of columns.
template <bool kAdd, int64_t V>
void multiply_columns(const float* a, int64_t a_stride, int64_t rows, const float* b,
                      int64_t b_stride, int64_t n, float* out, int64_t out_stride) {
  for (int64_t r0 = 0; r0 < rows; r0 += kBlockRows) {
    Vec acc[kBlockRows][V] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const float* row[kBlockRows];
    for (int64_t r = 0; r < kBlockRows; ++r) row[r] = a + std::min(r0 + r, rows - 1) * a_stride;
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t v = 0; v < V; ++v) {
        const Vec column = Float32::load_lanes(b + k * b_stride + v * kLanes);
        for (int64_t r = 0; r < kBlockRows; ++r) acc[r][v] += column * row[r][k];
      }
    }
    for (int64_t r = 0; r < std::min(kBlockRows, rows - r0); ++r) {
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
  int64_t c = 0;
  for (; c + V * kLanes <= columns; c += V * kLanes) {
    multiply_columns<kAdd, V>(a, a_stride, rows, b + c, b_stride, n, out + c, out_stride);
  }
  if constexpr (V > 1) {
    if (c == columns) return;
    multiply<kAdd, V / 2>(a, a_stride, rows, b + c, b_stride, n, columns - c, out + c, out_stride);
  }
}

}  // namespace kvbench
