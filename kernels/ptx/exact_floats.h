// Floats by their parts, rounded by hand from 128-bit ones: what the engine's arithmetic is tested
// against.
#pragma once

#include <cstdint>
#include <string_view>

namespace kvbench::ptx {

using Quad = __float128;

struct Format {
  int bits, precision, lowest_exponent, highest_exponent;
};
constexpr Format kF16Format = {16, 11, -14, 15}, kBF16Format = {16, 8, -126, 127},
                 kF32Format = {32, 24, -126, 127}, kF64Format = {64, 53, -1022, 1023};

// Of a PTX type; is_float: whether it is one of floats.
Format format_of(std::string_view type);
bool is_float(std::string_view type);

Quad power_of_two(int n);

struct Parts {
  bool negative = false, infinite = false, nan = false;
  Quad value = 0;
};

Parts decode_float(uint64_t bits, const Format& f);
bool is_nan(uint64_t bits, const Format& f);

// An infinity, or else a NaN.
uint64_t special_bits(const Format& f, bool negative, bool infinite);

// The exact value is `value` and a little more or less by the sign of `error`. mode: n nearest,
// z toward zero, m down, p up.
uint64_t encode_float(Quad value, Quad error, bool negative_zero, const Format& f, char mode);

// A subnormal number as a zero of its sign.
uint64_t flushed(uint64_t bits, const Format& f);

// a * b + c, rounded once.
uint64_t fused(Parts a, Parts b, Parts c, const Format& f, char mode);

Quad square_root(Quad x);

}  // namespace kvbench::ptx
