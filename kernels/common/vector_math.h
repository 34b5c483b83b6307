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

inline constexpr float kLog2E = 1.44269504088896341F;

// What is added to a number of either sign leaves no fraction, and in the last bits the exponent of
// a float.
inline constexpr float kWholeShift = 0x1.8p23F + 127;

// 2^(n + r) for a whole number n, given as n + kWholeShift, and |r| <= 1/2, relative error below
// 2e-7; libm's functions are not vectorised here.
inline Vec power_of_two(Vec shifted, Vec r) {
  Bits32 bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits <<= 23;
  Vec power;
  std::memcpy(&power, &bits, sizeof power);
  // The polynomial of degree 5 and constant 1 whose largest relative error is least.
  Vec p = r * 1.3264727e-3F + 9.671513e-3F;
  p = p * r + 5.5507336e-2F;
  p = p * r + 2.4022242e-1F;
  p = p * r + 6.9314700e-1F;
  p = p * r + 1.0F;
  return p * power;
}

// Beside a softmax's largest weight of 1 less than these powers of 2 and e counts for nothing in
// float32, and products with it would be denormal numbers, which are slow.
inline constexpr float kLowestPower = -92, kLowestExponent = -64;

// 2^x for any x <= 0, 0 below kLowestPower; a NaN stays one. Where logits are scaled anyway it is
// the shorter way to e^y, by x = y log2 e, with a relative error of up to 7e-8 |y| more.
inline Vec exp2_nonpositive(Vec x) {
  const Vec shifted = x + kWholeShift;
  return x < kLowestPower ? Vec{} : power_of_two(shifted, x - (shifted - kWholeShift));
}

// exp(scale * (logit - largest)) for a scale > 0: a softmax's weight beside its largest one's.
inline Vec softmax_weight(Vec logit, auto largest, float scale) {
  return exp2_nonpositive((logit - largest) * (scale * kLog2E));
}

// exp(x) for any x <= 0, relative error below 3e-7: 0 below kLowestExponent; a NaN stays one.
inline Vec exp_nonpositive(Vec x) {
  const Vec shifted = x * kLog2E + kWholeShift, n = shifted - kWholeShift;
  const Vec r = (x - n * 0.693359375F) + n * 2.12194440e-4F;  // x - n ln 2, in two parts
  return x < kLowestExponent ? Vec{} : power_of_two(shifted, r * kLog2E);
}

}  // namespace kvbench
