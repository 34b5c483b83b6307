// Products of matrices that fit into caches, for CPU kernels.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/common/element.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace kvbench {

// A block of sums that the vector registers hold: rows, and vectors of columns.
#ifdef __AVX512F__
inline constexpr int64_t kBlockRows = 4, kBlockVecs = 4;
#else
inline constexpr int64_t kBlockRows = 6, kBlockVecs = 2;
#endif

// A step of a sum: the k-th element of a row with a vector of the columns' k-th ones.
struct FloatProduct {
  using Storage = float;
  using Element = float;
  static constexpr int64_t kSize = 1;  // stored numbers of an element
  static Vec load(const float* columns) { return Float32::load_lanes(columns); }
  static Vec add(Vec sum, Vec columns, const float* row, int64_t k) {
    return sum + columns * row[k];
  }
};

// Columns are stored as E, and converted for every block of rows.
template <class E>
struct ConvertingProduct : FloatProduct {
  using Element = typename E::Storage;
  static Vec load(const Element* columns) { return E::load_lanes(columns); }
};

#ifdef __AVX512BF16__
// Elements are pairs of bfloat16, whose denormal numbers count as zeros.
struct PairProduct {
  using Storage = uint16_t;
  using Element = uint32_t;
  static constexpr int64_t kSize = 2;
  static Vec load(const uint32_t* columns) {
    Vec v;
    std::memcpy(&v, columns, sizeof v);
    return v;
  }
  static Vec add(Vec sum, Vec columns, const uint16_t* row, int64_t k) {
    int pair;
    std::memcpy(&pair, row + kSize * k, sizeof pair);
    return add(sum, columns, reinterpret_cast<Vec>(_mm512_set1_epi32(pair)));
  }
  // Each lane's pairs of x and y.
  static Vec add(Vec sum, Vec x, Vec y) {
    return reinterpret_cast<Vec>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                                  reinterpret_cast<__m512bh>(x),
                                                  reinterpret_cast<__m512bh>(y)));
  }
};
#endif

// out[r][c] = sum_k a[r][k] b[k][c] over n elements, or that added to it; R rows at a time, V
// vectors of columns.
template <bool kAdd, class P, int64_t R, int64_t V>
void multiply_columns(const typename P::Storage* a, int64_t a_stride, int64_t rows,
                      const typename P::Element* b, int64_t b_stride, int64_t n, float* out,
                      int64_t out_stride) {
  for (int64_t r0 = 0; r0 < rows; r0 += R) {
    Vec acc[R][V] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const typename P::Storage* row[R];
    for (int64_t r = 0; r < R; ++r) row[r] = a + std::min(r0 + r, rows - 1) * a_stride;
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t v = 0; v < V; ++v) {
        const Vec columns = in_register(P::load(b + k * b_stride + v * kLanes));
        for (int64_t r = 0; r < R; ++r) acc[r][v] = P::add(acc[r][v], columns, row[r], k);
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
template <bool kAdd, class P = FloatProduct, int64_t V = kBlockVecs>
void multiply(const typename P::Storage* a, int64_t a_stride, int64_t rows,
              const typename P::Element* b, int64_t b_stride, int64_t n, int64_t columns,
              float* out, int64_t out_stride) {
  // Narrow blocks are as much higher, as long as there are rows for them.
  constexpr int64_t kHigh = kBlockRows * kBlockVecs / V;
  const int64_t high_rows = rows / kHigh * kHigh;
  int64_t c = 0;
  for (; c + V * kLanes <= columns; c += V * kLanes) {
    multiply_columns<kAdd, P, kHigh, V>(a, a_stride, high_rows, b + c, b_stride, n, out + c,
                                        out_stride);
    // One row or two wait for memory: the less there is to do, the further it is read ahead.
    const int64_t left = rows - high_rows;
    const auto multiply_rest = left == 1   ? multiply_columns<kAdd, P, 1, V>
                               : left == 2 ? multiply_columns<kAdd, P, 2, V>
                                           : multiply_columns<kAdd, P, kBlockRows, V>;
    multiply_rest(a + high_rows * a_stride, a_stride, left, b + c, b_stride, n,
                  out + high_rows * out_stride + c, out_stride);
  }
  if constexpr (V > 1) {
    if (c == columns) return;
    multiply<kAdd, P, V / 2>(a, a_stride, rows, b + c, b_stride, n, columns - c, out + c,
                             out_stride);
  }
}

}  // namespace kvbench
