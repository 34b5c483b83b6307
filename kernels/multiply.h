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

// What stands in the matrices, and how a vector of items is added to sums times an item.
struct FloatProducts {
  using Item = float;
  using Items = Vec;
  static Items load(const Item* items) { return Float32::load_lanes(items); }
  static void add(Vec& sums, Items items, Item item) { sums += items * item; }
};

#ifdef __AVX512BF16__
// Two bfloat16 that follow each other along the summed dimension, in one instruction.
struct PairProducts {
  using Item = uint32_t;
  using Items = __m512i;
  static Items load(const Item* items) { return _mm512_loadu_si512(items); }
  static void add(Vec& sums, Items items, Item item) {
    sums = reinterpret_cast<Vec>(
        _mm512_dpbf16_ps(reinterpret_cast<__m512>(sums),
                         reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(item))),
                         reinterpret_cast<__m512bh>(items)));
  }
};
#endif

// out[r][c] = sum_k a[r][k] b[k][c], or that added to it; R rows at a time, V vectors of columns.
template <bool kAdd, int64_t R, int64_t V, class Products = FloatProducts>
void multiply_columns(const typename Products::Item* a, int64_t a_stride, int64_t rows,
                      const typename Products::Item* b, int64_t b_stride, int64_t n, float* out,
                      int64_t out_stride) {
  for (int64_t r0 = 0; r0 < rows; r0 += R) {
    Vec acc[R][V] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const typename Products::Item* row[R];
    for (int64_t r = 0; r < R; ++r) row[r] = a + std::min(r0 + r, rows - 1) * a_stride;
    for (int64_t k = 0; k < n; ++k) {
      for (int64_t v = 0; v < V; ++v) {
        const auto column = Products::load(b + k * b_stride + v * kLanes);
        for (int64_t r = 0; r < R; ++r) Products::add(acc[r][v], column, row[r][k]);
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
template <bool kAdd, class Products = FloatProducts, int64_t V = kBlockVecs>
void multiply(const typename Products::Item* a, int64_t a_stride, int64_t rows,
              const typename Products::Item* b, int64_t b_stride, int64_t n, int64_t columns,
              float* out, int64_t out_stride) {
  // Narrow blocks are as much higher, as long as there are rows for them.
  constexpr int64_t kHigh = kBlockRows * kBlockVecs / V;
  const int64_t high_rows = rows / kHigh * kHigh;
  int64_t c = 0;
  for (; c + V * kLanes <= columns; c += V * kLanes) {
    multiply_columns<kAdd, kHigh, V, Products>(a, a_stride, high_rows, b + c, b_stride, n, out + c,
                                               out_stride);
    multiply_columns<kAdd, kBlockRows, V, Products>(a + high_rows * a_stride, a_stride,
                                                    rows - high_rows, b + c, b_stride, n,
                                                    out + high_rows * out_stride + c, out_stride);
  }
  if constexpr (V > 1) {
    if (c == columns) return;
    multiply<kAdd, Products, V / 2>(a, a_stride, rows, b + c, b_stride, n, columns - c, out + c,
                                    out_stride);
  }
}

}  // namespace kvbench
