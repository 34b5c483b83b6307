// 16-bit floats as values.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace kvbench::ptx {

// x + error, error != 0 as nearest odd: a later rounding to fewer bits then is right (Boldo and
// Melquiond, "Emulation of a FMA and correctly rounded sums").
inline double round_to_odd(double x, double error) {
  if (error == 0 || !std::isfinite(x)) return x;
  const auto bits = std::bit_cast<uint64_t>(x);
  if ((bits & 1) != 0) return x;
  const bool away = (error > 0) == (x > 0);
  return std::bit_cast<double>(away ? bits + 1 : bits - 1);
}

inline double sum_to_odd(double a, double b) {
  const double sum = a + b, of_b = sum - a;
  return round_to_odd(sum, (a - (sum - of_b)) + (b - of_b));
}

struct F16 {
  uint16_t bits;
  explicit operator double() const { return static_cast<double>(std::bit_cast<_Float16>(bits)); }
  static F16 from(double x) { return {std::bit_cast<uint16_t>(static_cast<_Float16>(x))}; }
};

struct BF16 {
  uint16_t bits;
  explicit operator double() const {
    return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits) << 16));
  }
  static BF16 from(double x) {
    if (std::isnan(x)) return {0x7fff};
    // To float, to odd, so that the second rounding is right.
    float f = static_cast<float>(x);
    auto b = std::bit_cast<uint32_t>(f);
    if (static_cast<double>(f) != x && std::isfinite(f)) {
      const bool beyond = std::abs(static_cast<double>(f)) > std::abs(x);
      if (beyond) --b;  // toward zero
      b |= 1;
    }
    return {static_cast<uint16_t>((b + 0x7fff + (b >> 16 & 1)) >> 16)};
  }
};

}  // namespace kvbench::ptx
