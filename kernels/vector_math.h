// Functions of whole vectors, for CPU kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/element.h"

namespace kvbench {

// v with halves, quarters, ... of `kDistance` lanes exchanged.
template <int64_t kDistance, size_t... kLane>
Vec exchange_lanes(Vec v, std::index_sequence<kLane...>) {
  return __builtin_shufflevector(v, v, (kLane ^ kDistance)...);
}

template <int64_t kDistance = kLanes / 2>
float horizontal_sum(Vec v) {
  v += exchange_lanes<kDistance>(v, std::make_index_sequence<kLanes>());
  if constexpr (kDistance == 1) {
    return v[0];
  } else {
    return horizontal_sum<kDistance / 2>(v);
  }
}

// exp(x) for x <= 0, relative error below 3e-7; 0 below -87, and a NaN stays one. exp2 by splitting
// off the integer part and a degree-6 polynomial (Cephes expf coefficients): libm's expf is not
// vectorised here.
inline Vec exp_nonpositive(Vec x) {
  const Vec lowest = Vec{} - 87.0F;
  const Vec bounded = x > lowest ? x : lowest;  // also in place of a NaN: it has no integer part
  const Vec scaled = bounded * 1.44269504088896341F;
  using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
  // Truncation of (scaled - 0.5) rounds to the nearest integer for non-positive arguments.
  const Ints n = __builtin_convertvector(scaled - 0.5F, Ints);
  const Vec whole = __builtin_convertvector(n, Vec);
  const Vec r = (bounded - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Vec p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Ints exponent = (n + 127) << 23;
  Vec power;
  std::memcpy(&power, &exponent, sizeof power);
  const Vec otherwise = x < lowest ? Vec{} : x;
  return x >= lowest ? p * power : otherwise;
}

}  // namespace kvbench
