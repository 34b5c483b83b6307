// Products of a few query rows with a tile of keys, and of their weights with its values, which are
// read where they lie. What is read next is fetched in the meantime: a thread that waits for each
// product's rows has too few reads under way.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "kernels/common/element.h"
#include "kernels/common/multiply.h"
#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"

namespace kvbench {

// Rows in memory as floats, in the order of E's steps.
template <class E>
struct FloatRows {
  using Storage = typename E::Storage;
  using Query = float;
  static constexpr int64_t kVecs = E::kStepVecs;
  static constexpr int64_t kStep = kVecs * kLanes;
  // Where a row's number c is, counted in floats.
  static constexpr int64_t place(int64_t c) {
    return c / kStep * kStep + c % kVecs * kLanes + c % kStep / kVecs;
  }
  static Query number(const Storage* x) { return E::load(x); }
  static void load(const Storage* row, Vec* x) {
    E::load_step(row, x);
    for (int64_t v = 0; v < kVecs; ++v) x[v] = in_register(x[v]);
  }
  static Vec add_product(Vec sum, const Vec* x, const Query* query) {
    for (int64_t v = 0; v < kVecs; ++v) sum += x[v] * Float32::load_lanes(query + v * kLanes);
    return sum;
  }
};

// Rows in memory whose numbers are multiplied as they are stored.
#ifdef __AVX512BF16__
struct PairRows {
  using Storage = uint16_t;
  using Query = uint16_t;
  static constexpr int64_t kVecs = 1;
  static constexpr int64_t kStep = PairProduct::kSize * kLanes;
  static constexpr int64_t place(int64_t c) { return c; }
  static Query number(const Storage* x) { return *x; }
  static void load(const Storage* row, Vec* x) {
    std::memcpy(x, row, sizeof *x);
    x[0] = in_register(x[0]);
  }
  static Vec add_product(Vec sum, const Vec* x, const Query* query) {
    Vec y;
    std::memcpy(&y, query, sizeof y);
    return PairProduct::add(sum, x[0], y);
  }
};
template <class E>
using KeyRows = std::conditional_t<std::is_same_v<E, BFloat16>, PairRows, FloatRows<E>>;
#else
template <class E>
using KeyRows = FloatRows<E>;
#endif

// scores[r][j] = query_r . key_j for R rows of queries [R, d] and keys [count, d]; fetches as many
// rows of `next`. A block of rows and keys has as many sums as a vector has lanes. Scores behind
// the last key are anything, up to whole vectors.
template <class P, int64_t R>
void dot_rows(const typename P::Query* queries, const typename P::Storage* keys, int64_t count,
              int64_t d, const typename P::Storage* next, float* scores, int64_t stride) {
  constexpr int64_t kKeys = kLanes / static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(R)));
  for (int64_t j0 = 0; j0 < count; j0 += kKeys) {
    prefetch(next + j0 * d, kKeys * d * static_cast<int64_t>(sizeof *next));
    const typename P::Storage* key[kKeys];
    for (int64_t j = 0; j < kKeys; ++j) key[j] = keys + std::min(j0 + j, count - 1) * d;
    Vec acc[kLanes] = {};
    for (int64_t c = 0; c < d; c += P::kStep) {
#pragma GCC unroll 16
      for (int64_t j = 0; j < kKeys; ++j) {
        Vec x[P::kVecs];
        P::load(key[j] + c, x);
#pragma GCC unroll 4
        for (int64_t r = 0; r < R; ++r) {
          acc[r * kKeys + j] = P::add_product(acc[r * kKeys + j], x, queries + r * d + c);
        }
      }
    }
    const Vec sums = sums_of(acc);
    const auto* sum = reinterpret_cast<const char*>(&sums);
    for (int64_t r = 0; r < R; ++r) {
      std::memcpy(scores + r * stride + j0, sum + r * kKeys * sizeof(float), kKeys * sizeof(float));
    }
  }
}

// sums[r][c] += sum_j weights[r][j] value_j[c] for R rows and `columns` of the values [count, d], V
// vectors of them at a time; sums [R, d] are in the order of P's vectors. Fetches as many numbers
// from `next` on.
template <class P, int64_t R, int64_t V = kBlockVecs>
void add_rows(const float* weights, int64_t stride, const typename P::Storage* values,
              int64_t count, int64_t d, int64_t columns, const typename P::Storage* next,
              float* sums) {
  for (; columns >= V * kLanes; columns -= V * kLanes, values += V * kLanes, sums += V * kLanes) {
    Vec acc[R][V] = {};
    for (int64_t j = 0; j < count; ++j, next += V * kLanes) {
      prefetch(next, V * kLanes * static_cast<int64_t>(sizeof *next));
      for (int64_t v = 0; v < V; v += P::kVecs) {
        Vec x[P::kVecs];
        P::load(values + j * d + v * kLanes, x);
        for (int64_t r = 0; r < R; ++r) {
          for (int64_t i = 0; i < P::kVecs; ++i) acc[r][v + i] += x[i] * weights[r * stride + j];
        }
      }
    }
    for (int64_t r = 0; r < R; ++r) {
      for (int64_t v = 0; v < V; ++v) {
        float* sum = sums + r * d + v * kLanes;
        Float32::store_lanes(Float32::load_lanes(sum) + acc[r][v], sum);
      }
    }
  }
  if constexpr (V > P::kVecs) {
    if (columns > 0) {
      add_rows<P, R, V / 2>(weights, stride, values, count, d, columns, next, sums);
    }
  }
}

// f(first row, std::integral_constant of the number of rows) for blocks of up to R rows: four with
// as many keys or vectors of columns fill the registers.
template <int64_t R = 4, class F>
void for_row_blocks(int64_t rows, F f, int64_t first = 0) {
  for (; rows - first >= R; first += R) f(first, std::integral_constant<int64_t, R>{});
  if constexpr (R > 1) for_row_blocks<R - 1>(rows, f, first);
}

}  // namespace kvbench
