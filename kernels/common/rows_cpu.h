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

// The sizes that a row of n takes in whole vectors.
inline int64_t whole_vectors(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

}  // namespace kvbench
