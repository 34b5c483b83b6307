// Products of matrices that fit into caches, for CPU kernels.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/common/element.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace kvbench {

// A block of sums that the vector registers hold beside a step's columns: rows, and vectors of
// columns. kWideVecs: of a row alone, whose sums wait for themselves where they are few.
#ifdef __AVX512F__
inline constexpr int64_t kBlockRows = 4, kBlockVecs = 4, kWideVecs = 4;
#else
inline constexpr int64_t kBlockRows = 6, kBlockVecs = 2, kWideVecs = 8;
#endif
inline constexpr int64_t kBlockColumns = kBlockVecs * kLanes;

// A step of a sum: the k-th element of a row with a vector of the columns' k-th ones, in kParts
// parts: part p of element k is the row's number kParts * k + p.
struct FloatProduct {
  using Storage = float;
  using Element = float;
  static constexpr int64_t kSize = 1;  // stored numbers of an element
  static constexpr int64_t kParts = 1;
  static Vec load(const float* columns, int64_t /*part*/) { return Float32::load_lanes(columns); }
  static Vec add(Vec sum, Vec columns, const float* row, int64_t k) {
    return sum + columns * row[k];
  }
};

// Columns are stored as E, and converted for every block of rows.
template <class E>
struct ConvertingProduct : FloatProduct {
  using Element = typename E::Storage;
  static Vec load(const Element* columns, int64_t /*part*/) { return E::load_lanes(columns); }
};

// Columns are stored as pairs of bfloat16, the first in the lower half, and rows as floats.
struct HalvesProduct : FloatProduct {
  using Element = uint32_t;
  static constexpr int64_t kSize = 2, kParts = 2;
  static Vec load(const uint32_t* columns, int64_t part) {
    Vec halves[kParts];
    BFloat16::load_step(reinterpret_cast<const uint16_t*>(columns), halves);
    return halves[part];
  }
};

#ifdef __AVX512BF16__
// Elements are pairs of bfloat16, whose denormal numbers count as zeros.
struct PairProduct {
  using Storage = uint16_t;
  using Element = uint32_t;
  static constexpr int64_t kSize = 2, kParts = 1;
  static Vec load(const uint32_t* columns, int64_t /*part*/) {
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

// Calls f with the product that rows of n numbers stored as E take: with_product<E>(n, [&](auto
// product) {...}).
template <class E, class F>
void with_product([[maybe_unused]] int64_t n, F&& f) {
#ifdef __AVX512BF16__
  if constexpr (std::is_same_v<E, BFloat16>) {
    if (n % PairProduct::kSize == 0) return f(PairProduct());
  }
#endif
  f(FloatProduct());
}

// The right side of a product: element k of column c lies at
// first + k * stride + c / kBlockColumns * block + c % kBlockColumns.
template <class P>
struct Columns {
  const typename P::Element* first;
  int64_t stride, block = kBlockColumns;

  const typename P::Element* at(int64_t c) const {
    return first + c / kBlockColumns * block + c % kBlockColumns;
  }
};

// out[r][c] = sum_k a[r][k] b[k][c] over n elements, or that added to it, for the V vectors of
// columns from `first` on; R rows at a time.
template <bool kAdd, class P, int64_t R, int64_t V>
void multiply_columns(const typename P::Storage* a, int64_t a_stride, int64_t rows,
                      const Columns<P>& b, int64_t first, int64_t n, float* out,
                      int64_t out_stride) {
  constexpr int64_t kBlocks = (V + kBlockVecs - 1) / kBlockVecs;
  const typename P::Element* block[kBlocks];
  for (int64_t i = 0; i < kBlocks; ++i) block[i] = b.at(first + i * kBlockColumns);
  // While rows pass, each block of them fetches its part of the columns that follow.
  constexpr bool kFetches = R > 2;
  constexpr int64_t kPasses = 4;
  const typename P::Element* ahead = b.at(first + V * kLanes);
  const auto fetch = [](const typename P::Element* columns) {
    constexpr int64_t kLine = 64 / sizeof(typename P::Element);
    for (int64_t i = 0; i < V * kLanes; i += kLine) __builtin_prefetch(columns + i, 0, 2);
  };
  for (int64_t r0 = 0; r0 < rows; r0 += R) {
    Vec acc[R][V] = {};
    // Rows past the end repeat the last one; their result is not stored.
    const typename P::Storage* row[R];
    for (int64_t r = 0; r < R; ++r) row[r] = a + std::min(r0 + r, rows - 1) * a_stride;
    const auto step = [&](int64_t k) {
      for (int64_t part = 0; part < P::kParts; ++part) {
        // All columns first: then one row's number at a time is in a register, not that of each.
        Vec columns[V];
        for (int64_t v = 0; v < V; ++v) {
          columns[v] = in_register(
              P::load(block[v / kBlockVecs] + k * b.stride + v % kBlockVecs * kLanes, part));
        }
        for (int64_t r = 0; r < R; ++r) {
          for (int64_t v = 0; v < V; ++v) {
            acc[r][v] = P::add(acc[r][v], columns[v], row[r], P::kParts * k + part);
          }
        }
      }
    };
    const int64_t whole = n - n % kPasses;
    for (int64_t k = 0; k < whole; k += kPasses) {
      if constexpr (kFetches) fetch(ahead + (k + r0 / R % kPasses) * b.stride);
      for (int64_t i = 0; i < kPasses; ++i) step(k + i);
    }
    for (int64_t k = whole; k < n; ++k) step(k);
    // A constant number of rounds, without which the sums would lie in memory.
    for (int64_t r = 0; r < R; ++r) {
      if (r0 + r >= rows) break;
      for (int64_t v = 0; v < V; ++v) {
        float* target = out + (r0 + r) * out_stride + first + v * kLanes;
        const Vec value = kAdd ? Float32::load_lanes(target) + acc[r][v] : acc[r][v];
        std::memcpy(target, &value, sizeof value);
      }
    }
  }
}

// The same for `columns`, a multiple of kLanes, from `first` on.
template <bool kAdd, class P = FloatProduct, int64_t V = kWideVecs>
void multiply(const typename P::Storage* a, int64_t a_stride, int64_t rows, const Columns<P>& b,
              int64_t n, int64_t columns, float* out, int64_t out_stride, int64_t first = 0) {
  // Narrow blocks are as much higher, as long as there are rows for them.
  constexpr int64_t kVecs = std::min(V, kBlockVecs), kHigh = kBlockRows * kBlockVecs / kVecs;
  const int64_t high_rows = rows / kHigh * kHigh, left = rows - high_rows;
  const int64_t end = first + columns;
  for (; first + V * kLanes <= end; first += V * kLanes) {
    const auto rows_from = [&]<int64_t R, int64_t kWide>(int64_t row, int64_t count) {
      for (int64_t c = first; c < first + V * kLanes; c += kWide * kLanes) {
        multiply_columns<kAdd, P, R, kWide>(a + row * a_stride, a_stride, count, b, c, n,
                                            out + row * out_stride, out_stride);
      }
    };
    rows_from.template operator()<kHigh, kVecs>(0, high_rows);
    // One row or two wait for memory: the less there is to do, the further it is read ahead.
    if (left == 1) {
      rows_from.template operator()<1, V>(high_rows, left);
    } else if (left == 2) {
      rows_from.template operator()<2, std::min<int64_t>(V, 4)>(high_rows, left);
    } else if (left <= 4) {
      rows_from.template operator()<4, kVecs>(high_rows, left);
    } else {
      rows_from.template operator()<kBlockRows, kVecs>(high_rows, left);
    }
  }
  if constexpr (V > 1) {
    if (first == end) return;
    multiply<kAdd, P, V / 2>(a, a_stride, rows, b, n, end - first, out, out_stride, first);
  }
}

}  // namespace kvbench
