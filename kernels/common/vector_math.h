// Functions of whole vectors, for CPU kernels.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/common/element.h"

namespace kvbench {

// The larger one, or the NaN.
inline Vec larger(Vec x, Vec y) { return y > x || y != y ? y : x; }
inline float larger(float x, float y) { return y > x || y != y ? y : x; }

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

template <int64_t kDistance = kLanes / 2>
float horizontal_max(Vec v) {
  const Vec other = exchange_lanes<kDistance>(v, std::make_index_sequence<kLanes>());
  v = v > other ? v : other;
  if constexpr (kDistance == 1) {
    return v[0];
  } else {
    return horizontal_max<kDistance / 2>(v);
  }
}

// Lane i of the result: the sum of a's lanes i and i ^ kDistance where bit kDistance of i is 0,
// of b's where it is 1.
template <int64_t kDistance, size_t... kLane>
Vec add_halves(Vec a, Vec b, std::index_sequence<kLane...>) {
  constexpr auto from = [](int64_t lane, int64_t other) {
    return (lane & kDistance) == 0 ? other : kLanes + other;
  };
  return __builtin_shufflevector(a, b, from(kLane, kLane)...) +
         __builtin_shufflevector(a, b, from(kLane, kLane ^ kDistance)...);
}

// sums[i] := the sum of vectors[i]'s lanes, for kLanes vectors: additions as in horizontal_sum.
template <int64_t kCount = kLanes>
[[gnu::always_inline]] inline Vec sums_of(const Vec* vectors) {
  if constexpr (kCount == 1) {
    return vectors[0];
  } else {
    Vec halves[kCount / 2];
    for (int64_t i = 0; i < kCount / 2; ++i) {
      halves[i] = add_halves<kCount / 2>(vectors[i], vectors[i + kCount / 2],
                                         std::make_index_sequence<kLanes>());
    }
    return sums_of<kCount / 2>(halves);
  }
}

// Beside a softmax's largest weight of 1, exp of less counts for nothing in float32, and products
// with it would be denormal numbers, which are slow.
inline constexpr float kLowestExponent = -64;

// exp(x) for kLowestExponent <= x <= 0, relative error below 3e-7: exp2 by splitting off the
// integer part and a degree-6 polynomial (Cephes expf coefficients). libm's expf is not vectorised
// here.
inline Vec exp_bounded(Vec x) {
  const Vec scaled = x * 1.44269504088896341F;
  using Ints = int32_t __attribute__((vector_size(4 * kLanes)));
  // Truncation of (scaled - 0.5) rounds to the nearest integer for non-positive arguments.
  const Ints n = __builtin_convertvector(scaled - 0.5F, Ints);
  const Vec whole = __builtin_convertvector(n, Vec);
  const Vec r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
  Vec p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  // 2^n times it: no exponent of a float's runs over here.
  Ints bits;
  std::memcpy(&bits, &p, sizeof bits);
  bits += n << 23;
  std::memcpy(&p, &bits, sizeof p);
  return p;
}

// The same for any x <= 0: 0 below kLowestExponent, and a NaN stays one, whatever its integer part.
inline Vec exp_nonpositive(Vec x) {
  const auto counts_for_nothing = x < kLowestExponent;
  const Vec result = exp_bounded(counts_for_nothing ? Vec{} : x);
  return counts_for_nothing ? Vec{} : result;
}

inline constexpr float kLog2E = 1.44269504088896341F;

// 2^x for any x <= 0, relative error below 2e-7: half of the instructions of an exp. 0 below
// kLowestPower, for the reason above; a NaN stays one.
inline constexpr float kLowestPower = -92;

inline Vec exp2_nonpositive(Vec x) {
  // What is added leaves no fraction, and the bits of 2^n for the integer n at the end.
  constexpr float kShift = 0x1.8p23F + 127;
  const Vec shifted = x + kShift;
  const Vec r = x - (shifted - kShift);
  Bits32 bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  // The polynomial of degree 5 and constant 1 whose largest relative error is least, |r| <= 1/2.
  Vec p = r * 1.3264727e-3F + 9.671513e-3F;
  p = p * r + 5.5507336e-2F;
  p = p * r + 2.4022242e-1F;
  p = p * r + 6.9314700e-1F;
  p = p * r + 1.0F;
  return x < kLowestPower ? Vec{} : p * power;
}

}  // namespace kvbench
