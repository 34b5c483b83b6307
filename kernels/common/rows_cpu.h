// Rows of any width as vectors, for CPU kernels.
#pragma once

#include <algorithm>

#include "kernels/common/element.h"
#include "kernels/common/ragged_cache.h"

namespace kvbench {

// Row t of head h.
template <class E>
const typename E::Storage* row_of(const HeadRows& rows, int64_t h, int64_t t) {
  return static_cast<const typename E::Storage*>(rows.data) + h * rows.head_stride +
         t * rows.row_stride;
}

// Fetches what is read soon: the processor foresees neither rows that are picked nor those behind a
// block of them that it works on twice.
inline void prefetch(const void* from, int64_t n_bytes) {
  constexpr int64_t kLine = 64;
  for (int64_t i = 0; i < n_bytes; i += kLine) {
    __builtin_prefetch(static_cast<const char*>(from) + i);
  }
}

// The first n elements, or as many as a vector has; zeros behind them.
template <class E>
Vec load_first(const typename E::Storage* p, int64_t n) {
  if (n >= kLanes) return E::load_lanes(p);
  typename E::Storage rest[kLanes] = {};
  std::copy(p, p + n, rest);
  return E::load_lanes(rest);
}

template <class E>
void store_first(Vec v, typename E::Storage* p, int64_t n) {
  if (n >= kLanes) return E::store_lanes(v, p);
  typename E::Storage rest[kLanes];
  E::store_lanes(v, rest);
  std::copy(rest, rest + n, p);
}

// Calls f(c, x) for the elements c ... c + kLanes - 1 of a row of n, c = 0, kLanes, ...; behind its
// end are zeros.
template <class E, class F>
void for_vectors(const typename E::Storage* row, int64_t n, F&& f) {
  int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) f(c, E::load_lanes(row + c));
  if (c < n) f(c, load_first<E>(row + c, n - c));
}

// The same in the order of E's steps, c counting what has been before.
template <class E, class F>
void for_steps(const typename E::Storage* row, int64_t n, F&& f) {
  constexpr int64_t kStep = E::kStepVecs * kLanes;
  const int64_t whole = n / kStep * kStep;
  for (int64_t c = 0; c < whole; c += kStep) {
    Vec x[E::kStepVecs];
    E::load_step(row + c, x);
    for (int64_t v = 0; v < E::kStepVecs; ++v) f(c + v * kLanes, x[v]);
  }
  for_vectors<E>(row + whole, n - whole, [&](int64_t c, Vec x) { f(whole + c, x); });
}

// The sizes that a row of n takes in whole vectors.
inline int64_t whole_vectors(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

}  // namespace kvbench
