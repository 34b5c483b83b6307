#include "kernels/ptx/exact_floats.h"

#include <algorithm>
#include <cmath>

namespace kvbench::ptx {

Format format_of(std::string_view type) {
  if (type == "f16" || type == "f16x2") return kF16Format;
  if (type == "bf16" || type == "bf16x2") return kBF16Format;
  return type == "f32" ? kF32Format : kF64Format;
}

bool is_float(std::string_view type) {
  return type[0] == 'f' || type[0] == 'b' ? type.find('f') != type.npos : false;
}

Quad power_of_two(int n) { return static_cast<Quad>(std::ldexp(1.0L, n)); }

Parts decode_float(uint64_t bits, const Format& f) {
  Parts p;
  const int fraction_bits = f.precision - 1, exponent_bits = f.bits - f.precision;
  const uint64_t fraction = bits & ((uint64_t{1} << fraction_bits) - 1);
  const auto exponent = static_cast<int>(bits >> fraction_bits & ((1U << exponent_bits) - 1));
  p.negative = bits >> (f.bits - 1) & 1;
  if (exponent == (1 << exponent_bits) - 1) {
    (fraction == 0 ? p.infinite : p.nan) = true;
    return p;
  }
  const uint64_t whole = exponent == 0 ? fraction : fraction | uint64_t{1} << fraction_bits;
  p.value = static_cast<Quad>(whole) *
            power_of_two((exponent == 0 ? f.lowest_exponent : exponent + f.lowest_exponent - 1) -
                         fraction_bits);
  if (p.negative) p.value = -p.value;
  return p;
}

uint64_t special_bits(const Format& f, bool negative, bool infinite) {
  const int fraction_bits = f.precision - 1;
  const uint64_t exponent = ((uint64_t{1} << (f.bits - f.precision)) - 1) << fraction_bits;
  const uint64_t sign = negative ? uint64_t{1} << (f.bits - 1) : 0;
  return sign | exponent | (infinite ? 0 : uint64_t{1} << (fraction_bits - 1));
}

uint64_t encode_float(Quad value, Quad error, bool negative_zero, const Format& f, char mode) {
  const int fraction_bits = f.precision - 1;
  const uint64_t sign_bit = uint64_t{1} << (f.bits - 1);
  if (value == 0 && error == 0) return negative_zero ? sign_bit : 0;
  const bool negative = value < 0 || (value == 0 && error < 0);
  if (negative) {
    value = -value;
    error = -error;
  }
  int exponent = value == 0 ? -20000 : std::ilogb(static_cast<long double>(value));
  if (value != 0 && exponent > -16000 && power_of_two(exponent) > value) --exponent;
  exponent = std::max(exponent, f.lowest_exponent);
  const int quantum = exponent - fraction_bits;
  // In two steps: the scale itself may be out of range.
  const Quad scaled = value * power_of_two(-quantum / 2) * power_of_two(-quantum - -quantum / 2);
  auto whole = static_cast<uint64_t>(scaled);
  const Quad rest = scaled - static_cast<Quad>(whole);
  // 0: nothing, 1: below a half, 2: a half, 3: above it
  int part = rest == 0 ? 0 : rest < 0.5 ? 1 : rest == 0.5 ? 2 : 3;
  if (error > 0 && part % 2 == 0) ++part;
  if (error < 0 && part == 2) part = 1;
  if (error < 0 && part == 0) {
    part = 3;
    if (whole == uint64_t{1} << fraction_bits && exponent > f.lowest_exponent) {
      whole *= 2;  // the number below a power of two is nearer
      --exponent;
    }
    --whole;
  }
  const bool up = mode == 'n' ? part == 3 || (part == 2 && whole % 2 == 1)
                              : part > 0 && (mode == 'p' ? !negative : mode == 'm' && negative);
  if (up) ++whole;
  if (whole == uint64_t{1} << f.precision) {
    whole /= 2;
    ++exponent;
  }
  const uint64_t sign = negative ? sign_bit : 0;
  if (exponent > f.highest_exponent) {
    const bool to_infinity = mode == 'n' || (mode == 'p' && !negative) || (mode == 'm' && negative);
    return to_infinity ? special_bits(f, negative, true) : special_bits(f, negative, true) - 1;
  }
  if (whole < uint64_t{1} << fraction_bits) return sign | whole;  // subnormal
  const auto stored = static_cast<uint64_t>(exponent - f.lowest_exponent + 1);
  return sign | stored << fraction_bits | (whole - (uint64_t{1} << fraction_bits));
}

bool is_nan(uint64_t bits, const Format& f) { return decode_float(bits, f).nan; }

uint64_t flushed(uint64_t bits, const Format& f) {
  const uint64_t exponent = special_bits(f, false, true);
  return (bits & exponent) == 0 ? bits & uint64_t{1} << (f.bits - 1) : bits;
}

uint64_t fused(Parts a, Parts b, Parts c, const Format& f, char mode) {
  const bool product_negative = a.negative != b.negative;
  const bool product_infinite = a.infinite || b.infinite;
  if (a.nan || b.nan || c.nan) return special_bits(f, false, false);
  if ((a.infinite && !b.infinite && b.value == 0) || (b.infinite && !a.infinite && a.value == 0)) {
    return special_bits(f, false, false);
  }
  if (product_infinite && c.infinite && product_negative != c.negative) {
    return special_bits(f, false, false);
  }
  if (product_infinite || c.infinite) {
    return special_bits(f, product_infinite ? product_negative : c.negative, true);
  }
  const Quad product = a.value * b.value;  // at most 106 bits
  const Quad sum = product + c.value, of_c = sum - product;
  const Quad error = (product - (sum - of_c)) + (c.value - of_c);
  bool negative_zero = product_negative && c.negative;
  if (product_negative != c.negative) negative_zero = mode == 'm';
  return encode_float(sum, error, negative_zero, f, mode);
}

Quad square_root(Quad x) {
  Quad root = static_cast<Quad>(std::sqrt(static_cast<long double>(x)));
  return x == 0 ? x : (root + x / root) / 2;
}

}  // namespace kvbench::ptx
