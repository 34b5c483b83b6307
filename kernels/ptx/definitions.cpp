#include "kernels/ptx/definitions.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "kernels/ptx/exact_floats.h"

namespace kvbench::ptx {
namespace {

bool bit(uint64_t x, uint64_t n) { return n < 64 && (x >> n & 1); }

constexpr uint64_t kOne32 = 0x3f800000, kOne64 = 0x3ff0000000000000;

Parts one(bool negative = false) {
  Parts p;
  p.value = negative ? -1 : 1;
  p.negative = negative;
  return p;
}
Parts negative_zero() {
  Parts p;
  p.negative = true;
  return p;
}

std::vector<std::string> split(const std::string& opcode) {
  std::vector<std::string> parts(1);
  for (const char c : opcode) {
    if (c == '.') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool has(const std::vector<std::string>& parts, const char* what) {
  return std::find(parts.begin() + 1, parts.end(), what) != parts.end();
}

Expected integer_result(const std::vector<std::string>& parts, const uint64_t (&x)[4]) {
  const std::string& op = parts[0];
  const std::string& type = parts.back();
  const bool is_signed = type[0] == 's';
  const int n = std::stoi(type.substr(1));
  const auto msb = static_cast<uint64_t>(n - 1);
  const Int a = integer(x[0], n, is_signed), b = integer(x[1], n, is_signed);
  const uint64_t ua = low_bits(x[0], n), ub = low_bits(x[1], n);
  const auto n_b = static_cast<uint32_t>(x[1]), n_c = static_cast<uint32_t>(x[2]);
  const auto wrapped = [&](Int value, int bits) {
    return Expected{low_bits(static_cast<uint64_t>(value), bits)};
  };
  const auto high = [&] {  // of the product, rounded down
    if (!is_signed) {
      return static_cast<Int>(static_cast<unsigned __int128>(ua) * ub >> n);
    }
    return a * b >> n;
  };
  if (op == "add") return wrapped(a + b, n);
  if (op == "sub") return wrapped(a - b, n);
  if (op == "mul" || op == "mad") {
    const bool adds = op == "mad";
    if (parts[1] == "lo") return wrapped(a * b + (adds ? integer(x[2], n, is_signed) : 0), n);
    if (parts[1] == "hi") return wrapped(high() + (adds ? integer(x[2], n, is_signed) : 0), n);
    return wrapped(a * b + (adds ? integer(x[2], 2 * n, is_signed) : 0), 2 * n);
  }
  if (op == "div" || op == "rem") {
    if (b == 0) return {0, 0, true};
    return wrapped(op == "div" ? a / b : a % b, n);
  }
  if (op == "min") return wrapped(std::min(a, b), n);
  if (op == "max") return wrapped(std::max(a, b), n);
  if (op == "neg") return wrapped(-a, n);
  if (op == "abs") return wrapped(a < 0 ? -a : a, n);
  if (op == "and") return {ua & ub};
  if (op == "or") return {ua | ub};
  if (op == "xor") return {ua ^ ub};
  if (op == "not") return wrapped(-a - 1, n);
  if (op == "mov") return {ua};
  if (op == "selp") return {x[2] & 1 ? ua : ub};
  uint64_t d = 0;
  if (op == "shl") {
    for (int i = 0; i < n; ++i) {
      if (static_cast<uint64_t>(i) >= n_b && bit(ua, static_cast<uint64_t>(i) - n_b)) {
        d |= uint64_t{1} << i;
      }
    }
    return {d};
  }
  if (op == "shr") {
    for (int i = 0; i < n; ++i) {
      const uint64_t from = static_cast<uint64_t>(i) + n_b;
      if (from < static_cast<uint64_t>(n) ? bit(ua, from) : is_signed && bit(ua, msb)) {
        d |= uint64_t{1} << i;
      }
    }
    return {d};
  }
  if (op == "popc") {
    for (uint64_t i = 0; i <= msb; ++i) d += bit(ua, i);
    return {d};
  }
  if (op == "clz") {
    while (d <= msb && !bit(ua, msb - d)) ++d;
    return {d};
  }
  if (op == "brev") {
    for (uint64_t i = 0; i <= msb; ++i) d |= uint64_t{bit(ua, i)} << (msb - i);
    return {d};
  }
  if (op == "bfind") {
    const bool wanted = !(is_signed && bit(ua, msb));
    for (uint64_t i = msb + 1; i-- > 0;) {
      if (bit(ua, i) == wanted) return {parts[1] == "shiftamt" ? msb - i : i};
    }
    return {0xffffffff};
  }
  if (op == "bfe") {
    const uint64_t position = n_b & 0xff, length = n_c & 0xff;
    const bool sign = is_signed && length > 0 && bit(ua, std::min(position + length - 1, msb));
    for (uint64_t i = 0; i <= msb; ++i) {
      const bool value = i < length && position + i <= msb ? bit(ua, position + i) : sign;
      d |= uint64_t{value} << i;
    }
    return {d};
  }
  if (op == "bfi") {
    const uint64_t position = n_c & 0xff, length = x[3] & 0xff;
    d = ub;
    for (uint64_t i = 0; i < length && position + i <= msb; ++i) {
      d = (d & ~(uint64_t{1} << (position + i))) | uint64_t{bit(ua, i)} << (position + i);
    }
    return {d};
  }
  if (op == "bmsk") {
    for (uint64_t i = 0; i < 32; ++i) d |= uint64_t{i >= ua && i < ua + ub} << i;
    return {d};
  }
  if (op == "prmt") {
    for (uint64_t i = 0; i < 4; ++i) {
      const uint64_t which = n_c >> (4 * i) & 7;
      const uint64_t byte = (which < 4 ? ua >> (8 * which) : ub >> (8 * (which - 4))) & 0xff;
      const bool sign = n_c >> (4 * i + 3) & 1;
      d |= (sign ? (byte >= 0x80 ? 0xff : 0) : byte) << (8 * i);
    }
    return {d};
  }
  if (op == "shf") {
    const uint64_t shift = parts[2] == "wrap" ? n_c % 32 : std::min(n_c, 32U);
    for (uint64_t i = 0; i < 32; ++i) {  // bit i of the result in the 64 bits b:a
      const uint64_t from = parts[1] == "l" ? 32 + i - shift : i + shift;
      d |= uint64_t{from < 32 ? bit(ua, from) : bit(ub, from - 32)} << i;
    }
    return {d};
  }
  if (op == "lop3") {
    for (uint64_t i = 0; i < 32; ++i) {
      const uint64_t index = uint64_t{bit(ua, i)} * 4 + uint64_t{bit(ub, i)} * 2 + bit(x[2], i);
      d |= uint64_t{bit(x[3] & 0xff, index)} << i;
    }
    return {d};
  }
  if (op == "dp4a") {
    Int sum = integer(x[2], 32, is_signed);
    for (int i = 0; i < 4; ++i) {
      sum += integer(ua >> (8 * i), 8, is_signed) * integer(ub >> (8 * i), 8, is_signed);
    }
    return wrapped(sum, 32);
  }
  throw std::logic_error("no second definition of " + op);
}

Expected comparison_result(const std::vector<std::string>& parts, const uint64_t (&x)[4]) {
  const std::string& how = parts[1];
  const std::string& type = parts.back();
  if (!is_float(type)) {
    const int n = std::stoi(type.substr(1));
    const Int a = integer(x[0], n, type[0] == 's'), b = integer(x[1], n, type[0] == 's');
    const bool result = how == "eq"                  ? a == b
                        : how == "ne"                ? a != b
                        : how == "lt" || how == "lo" ? a < b
                        : how == "le" || how == "ls" ? a <= b
                        : how == "gt" || how == "hi" ? a > b
                                                     : a >= b;
    return {result};
  }
  const Format f = format_of(type);
  const auto number = [&](uint64_t bits) {
    const Parts p = decode_float(
        has(parts, "ftz") ? flushed(low_bits(bits, f.bits), f) : low_bits(bits, f.bits), f);
    const Quad infinity = power_of_two(5000);
    return std::pair{p.nan, p.infinite ? (p.negative ? -infinity : infinity) : p.value};
  };
  const auto [a_nan, a] = number(x[0]);
  const auto [b_nan, b] = number(x[1]);
  const bool nan = a_nan || b_nan;
  if (how == "num") return {!nan};
  if (how == "nan") return {nan};
  const std::string ordered = how.size() == 3 ? how.substr(0, 2) : how;
  if (nan) return {how.size() == 3};
  return {ordered == "eq"   ? a == b
          : ordered == "ne" ? a != b
          : ordered == "lt" ? a < b
          : ordered == "le" ? a <= b
          : ordered == "gt" ? a > b
                            : a >= b};
}

Expected float_result(const std::vector<std::string>& parts, const uint64_t (&operands)[4]) {
  const std::string& op = parts[0];
  const Format f = format_of(parts.back());
  uint64_t x[3];
  for (int i = 0; i < 3; ++i) {
    x[i] = low_bits(operands[i], f.bits);
    if (has(parts, "ftz")) x[i] = flushed(x[i], f);
  }
  const uint64_t sign = uint64_t{1} << (f.bits - 1);
  if (op == "mov") return {x[0]};
  if (op == "neg") return {x[0] ^ sign};
  if (op == "abs") return {x[0] & ~sign};
  if (op == "copysign") return {(x[1] & ~sign) | (x[0] & sign)};
  if (op == "selp") return {operands[2] & 1 ? x[0] : x[1]};
  const char mode = has(parts, "rz") ? 'z' : has(parts, "rm") ? 'm' : has(parts, "rp") ? 'p' : 'n';
  const Parts a = decode_float(x[0], f), b = decode_float(x[1], f), c = decode_float(x[2], f);
  const uint64_t nan = special_bits(f, false, false);
  Expected e;
  if (op == "add") {
    e.bits = fused(a, one(), b, f, mode);
  } else if (op == "sub") {
    e.bits = fused(b, one(true), a, f, mode);
  } else if (op == "mul") {
    Parts zero = negative_zero();  // changes no product but the sign of a zero, rightly
    zero.negative = a.negative != b.negative;
    e.bits = fused(a, b, zero, f, mode);
  } else if (op == "fma" || op == "mad") {
    e.bits = fused(a, b, c, f, mode);
  } else if (op == "min" || op == "max") {
    if (a.nan || b.nan) {
      e.bits = has(parts, "NaN") || (a.nan && b.nan) ? nan : a.nan ? x[1] : x[0];
    } else {
      const auto rank = [&](uint64_t bits) {  // signed magnitude as a number; -0 below 0
        const auto magnitude = static_cast<Int>(bits & ~sign);
        return bits & sign ? -1 - magnitude : magnitude;
      };
      e.bits = (rank(x[0]) < rank(x[1])) == (op == "min") ? x[0] : x[1];
    }
  } else if (op == "div" || op == "rcp") {
    const Parts top = op == "div" ? a : one(), below = op == "div" ? b : a;
    const bool negative = top.negative != below.negative;
    if (top.nan || below.nan || (top.infinite && below.infinite) ||
        (top.value == 0 && !top.infinite && below.value == 0 && !below.infinite)) {
      e.bits = nan;
    } else if (top.infinite || (below.value == 0 && !below.infinite)) {
      e.bits = special_bits(f, negative, true);
    } else if (below.infinite) {
      e.bits = negative ? sign : 0;
    } else {
      e.bits = encode_float(top.value / below.value, 0, negative, f, 'n');
    }
    if (!has(parts, "rn")) e.tolerance = f.bits == 32 ? 0x1p-22 : 0x1p-19;
  } else if (op == "sqrt" || op == "rsqrt") {
    const bool inverse = op == "rsqrt";
    if (a.nan || (a.negative && (a.value != 0 || a.infinite))) {
      e.bits = nan;
    } else if (a.infinite) {
      e.bits = inverse ? 0 : x[0];
    } else if (a.value == 0) {
      e.bits = inverse ? special_bits(f, a.negative, true) : x[0];
    } else {
      const Quad root = square_root(a.value);
      e.bits = encode_float(inverse ? 1 / root : root, 0, false, f, 'n');
    }
    if (!has(parts, "rn")) e.tolerance = f.bits == 32 ? 0x1p-22 : 0x1p-19;
  } else {  // special functions
    const long double v = a.nan        ? std::nanl("")
                          : a.infinite ? (a.negative ? -INFINITY : INFINITY)
                                       : static_cast<long double>(a.value);
    if (std::abs(v) > 1e4L && (op == "sin" || op == "cos")) return {0, 0, true};
    const long double y = op == "ex2"   ? std::exp2(v)
                          : op == "lg2" ? std::log2(v)
                          : op == "sin" ? std::sin(v)
                          : op == "cos" ? std::cos(v)
                                        : std::tanh(v);
    if (op != "ex2" && op != "lg2" && op != "sin" && op != "cos" && op != "tanh") {
      throw std::logic_error("no second definition of " + op);
    }
    e.tolerance = 0x1p-22;
    if (std::isnan(y)) {
      e.bits = nan;
    } else if (std::isinf(y)) {
      e.bits = special_bits(f, y < 0, true);
    } else {
      e.bits = encode_float(static_cast<Quad>(y), 0, std::signbit(y), f, 'n');
    }
  }
  if (has(parts, "sat")) {
    const Parts p = decode_float(e.bits, f);
    if (p.nan || (!p.infinite && p.value <= 0) || (p.infinite && p.negative)) e.bits = 0;
    if (p.infinite ? !p.negative : p.value > 1) e.bits = f.bits == 32 ? kOne32 : kOne64;
  }
  if (has(parts, "ftz")) e.bits = flushed(e.bits, f);
  return e;
}

Expected conversion_result(const std::vector<std::string>& parts, const uint64_t (&x)[4]) {
  const std::string& from = parts.back();
  const std::string& to = parts[parts.size() - 2];
  const bool saturates = has(parts, "sat");
  const auto whole = [&](long double v) {  // v as an integer by the mode
    if (has(parts, "rzi")) return std::trunc(v);
    if (has(parts, "rmi")) return std::floor(v);
    if (has(parts, "rpi")) return std::ceil(v);
    return std::rint(v);
  };
  const char mode = has(parts, "rz") ? 'z' : has(parts, "rm") ? 'm' : has(parts, "rp") ? 'p' : 'n';
  if (to.ends_with("x2")) {  // high, low
    const Format f = format_of(to);
    uint64_t halves[2];
    for (int i = 0; i < 2; ++i) {
      const Parts p = decode_float(low_bits(x[i], 32), kF32Format);
      halves[i] = p.nan        ? special_bits(f, false, false)
                  : p.infinite ? special_bits(f, p.negative, true)
                               : encode_float(p.value, 0, p.negative, f, mode);
    }
    return {halves[0] << 16 | halves[1]};
  }
  if (is_float(from)) {
    const Format f = format_of(from);
    const Parts p = decode_float(low_bits(x[0], f.bits), f);
    if (!is_float(to)) {
      const int n = std::stoi(to.substr(1));
      const bool is_signed = to[0] == 's';
      const Int lowest = is_signed ? -(Int{1} << (n - 1)) : Int{0};
      const Int highest = (Int{1} << (is_signed ? n - 1 : n)) - 1;
      const int stored = std::max(n, 16);  // in the register, with its sign
      if (p.nan) {
        const uint64_t nan = f.bits == 64 || n == 64 ? uint64_t{1} << (n - 1) : 0;
        return {low_bits(static_cast<uint64_t>(integer(nan, n, is_signed)), stored)};
      }
      if (p.infinite) {
        return {low_bits(static_cast<uint64_t>(p.negative ? lowest : highest), stored)};
      }
      const long double v = whole(static_cast<long double>(p.value));
      const Int i = v > 1e25L ? highest : v < -1e25L ? lowest : static_cast<Int>(v);
      return {low_bits(static_cast<uint64_t>(std::clamp(i, lowest, highest)), stored)};
    }
    const Format g = format_of(to);
    Expected e;
    if (p.nan) {
      e.bits = special_bits(g, false, false);
    } else if (p.infinite) {
      e.bits = special_bits(g, p.negative, true);
    } else {
      const bool to_whole =
          has(parts, "rni") || has(parts, "rzi") || has(parts, "rmi") || has(parts, "rpi");
      const Quad v =
          to_whole ? static_cast<Quad>(whole(static_cast<long double>(p.value))) : p.value;
      e.bits = encode_float(v, 0, p.negative, g, mode);
    }
    if (saturates) {
      const Parts q = decode_float(e.bits, g);
      if (q.nan || q.negative) e.bits = 0;
      if (!q.nan && !q.negative && (q.infinite || q.value > 1))
        e.bits = encode_float(1, 0, false, g, 'n');
    }
    return e;
  }
  const int n = std::stoi(from.substr(1));
  const Int value = integer(x[0], n, from[0] == 's');
  if (is_float(to)) {
    // 64 bits fit a Quad.
    return {encode_float(static_cast<Quad>(value), 0, false, format_of(to), 'n')};
  }
  const int m = std::stoi(to.substr(1));
  const bool is_signed = to[0] == 's';
  const Int lowest = is_signed ? -(Int{1} << (m - 1)) : Int{0};
  const Int highest = (Int{1} << (is_signed ? m - 1 : m)) - 1;
  const uint64_t kept =
      low_bits(static_cast<uint64_t>(saturates ? std::clamp(value, lowest, highest) : value), m);
  return {low_bits(static_cast<uint64_t>(integer(kept, m, is_signed)), std::max(m, 16))};
}

}  // namespace

uint64_t low_bits(uint64_t x, int bits) { return bits == 64 ? x : x & ((uint64_t{1} << bits) - 1); }

Int integer(uint64_t x, int bits, bool is_signed) {
  x = low_bits(x, bits);
  if (is_signed && bit(x, static_cast<uint64_t>(bits) - 1)) return Int{x} - (Int{1} << bits);
  return Int{x};
}

Expected expected(const std::string& opcode, const uint64_t (&x)[4]) {
  const auto parts = split(opcode);
  const std::string& type = parts.back();
  if (parts[0] == "cvt") return conversion_result(parts, x);
  if (parts[0] == "setp") return comparison_result(parts, x);
  if (type == "pred") {
    const bool a = x[0] & 1, b = x[1] & 1;
    return {parts[0] == "and"   ? a && b
            : parts[0] == "or"  ? a || b
            : parts[0] == "xor" ? a != b
            : parts[0] == "not" ? !a
                                : a};
  }
  if (!is_float(type)) return integer_result(parts, x);
  if (!type.ends_with("x2")) return float_result(parts, x);
  uint64_t d = 0;
  for (int half = 0; half < 2; ++half) {
    const uint64_t y[4] = {x[0] >> (16 * half), x[1] >> (16 * half), x[2] >> (16 * half), 0};
    d |= low_bits(float_result(parts, y).bits, 16) << (16 * half);
  }
  return {d};
}

bool alike(const std::string& opcode, uint64_t got, const Expected& want) {
  if (got == want.bits || want.undefined) return true;
  const auto parts = split(opcode);
  std::string type = parts[0] == "cvt" ? parts[parts.size() - 2] : parts.back();
  if (parts[0] == "setp" || !is_float(type)) return false;
  const Format f = format_of(type);
  if (type.ends_with("x2")) {
    for (int half = 0; half < 2; ++half) {
      const uint64_t a = low_bits(got >> (16 * half), 16),
                     b = low_bits(want.bits >> (16 * half), 16);
      if (a != b && !(is_nan(a, f) && is_nan(b, f))) return false;
    }
    return true;
  }
  if (is_nan(got, f) || is_nan(want.bits, f)) return is_nan(got, f) && is_nan(want.bits, f);
  if (want.tolerance == 0) return false;
  const Parts a = decode_float(got, f), b = decode_float(want.bits, f);
  if (a.infinite != b.infinite || a.negative != b.negative) return false;
  const Quad off = a.value > b.value ? a.value - b.value : b.value - a.value;
  const Quad size = b.value < 0 ? -b.value : b.value;
  return off <= size * want.tolerance + power_of_two(-126);
}

}  // namespace kvbench::ptx
