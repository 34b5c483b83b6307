// Opcodes that compute on registers: loops over the lanes, which the compiler vectorises.
#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <limits>

#include "kernels/ptx/machine.h"
#include "kernels/ptx/number.h"

namespace kvbench::ptx {
namespace {

// d[l] = f(l) for the lanes of the mask. Lanes beside it are computed too and dropped, so `f` must
// not trap.
template <class D, class F>
inline void each(D* __restrict d, uint32_t mask, F f) {
  if (mask == kAll) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l) d[l] = f(l);
    return;
  }
  D result[kLanes];
  for (int l = 0; l < kLanes; ++l) result[l] = f(l);
  for (int l = 0; l < kLanes; ++l) d[l] = (mask >> l & 1) ? result[l] : d[l];
}

template <class D, class A, class F>
inline void unary(Warp& w, const Instruction& i, uint32_t mask, F f) {
  const A* a = w.at<A>(i.r[1]);
  each(w.at<D>(i.r[0]), mask, [=](int l) -> D { return f(a[l]); });
}

template <class D, class A, class B, class F>
inline void binary(Warp& w, const Instruction& i, uint32_t mask, F f) {
  const A* a = w.at<A>(i.r[1]);
  const B* b = w.at<B>(i.r[2]);
  each(w.at<D>(i.r[0]), mask, [=](int l) -> D { return f(a[l], b[l]); });
}

template <class D, class A, class B, class C, class F>
inline void ternary(Warp& w, const Instruction& i, uint32_t mask, F f) {
  const A* a = w.at<A>(i.r[1]);
  const B* b = w.at<B>(i.r[2]);
  const C* c = w.at<C>(i.r[3]);
  each(w.at<D>(i.r[0]), mask, [=](int l) -> D { return f(a[l], b[l], c[l]); });
}

// mode: 0 p = compare; 1, 2, 3: and, or, xor with the predicate c. p|q: q gets the opposite.
template <class T, class F>
inline void compare(Warp& w, const Instruction& i, uint32_t mask, F f) {
  const T* a = w.at<T>(i.r[2]);
  const T* b = w.at<T>(i.r[3]);
  uint32_t bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= static_cast<uint32_t>(f(a[l], b[l])) << l;
  uint32_t opposite = ~bits;
  if (i.mode != 0) {
    const uint32_t c = *w.at<uint32_t>(i.r[4]) ^ (i.negated ? kAll : 0);
    const auto join = [&](uint32_t x) { return i.mode == 1 ? x & c : i.mode == 2 ? x | c : x ^ c; };
    bits = join(bits);
    opposite = join(opposite);
  }
  uint32_t* p = w.at<uint32_t>(i.r[0]);
  *p = (*p & ~mask) | (bits & mask);
  if (i.r[1] != 0) {
    uint32_t* q = w.at<uint32_t>(i.r[1]);
    *q = (*q & ~mask) | (opposite & mask);
  }
}

template <class F>
inline void predicates(Warp& w, const Instruction& i, uint32_t mask, F f) {
  uint32_t* d = w.at<uint32_t>(i.r[0]);
  const uint32_t result = f(*w.at<uint32_t>(i.r[1]), i.r[2] == 0 ? 0 : *w.at<uint32_t>(i.r[2]));
  *d = (*d & ~mask) | (result & mask);
}

template <class T>
inline void select(Warp& w, const Instruction& i, uint32_t mask) {
  const T* a = w.at<T>(i.r[1]);
  const T* b = w.at<T>(i.r[2]);
  const uint32_t p = *w.at<uint32_t>(i.r[3]);
  each(w.at<T>(i.r[0]), mask, [=](int l) { return (p >> l & 1) ? a[l] : b[l]; });
}

// Runs `f` in a rounding mode. The loops read and write memory, so none moves across the calls.
template <int kMode, class F>
inline void rounded(F f) {
  std::fesetround(kMode);
  f();
  std::fesetround(FE_TONEAREST);
}

float flush(float x) { return std::abs(x) < std::numeric_limits<float>::min() ? x * 0 : x; }

template <class T>
T minimum(T a, T b) {  // of a number and a NaN the number; -0 below +0
  if (a != a) return b;
  if (b != b) return a;
  if (a == b) return std::signbit(a) ? a : b;
  return a < b ? a : b;
}
template <class T>
T maximum(T a, T b) {
  if (a != a) return b;
  if (b != b) return a;
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}
template <class T>
T nan_or(T a, T b, T otherwise) {
  return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : otherwise;
}

template <class T>
T high_product(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return static_cast<T>(static_cast<Wide>(a) * b >> (8 * sizeof(T)));
}

template <class T>
T quotient(T a, T b) {
  if (b == 0) return static_cast<T>(-1);
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(a));
  }
  return a / b;
}
template <class T>
T remainder(T a, T b) {
  if (b == 0) return a;
  if constexpr (std::is_signed_v<T>) {
    if (b == -1) return 0;
  }
  return a % b;
}

template <class T>
T shift_left(T a, uint32_t n) {
  return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(a << n);
}
template <class T>
T shift_right(T a, uint32_t n) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  if (n >= kBits) return std::is_signed_v<T> && a < 0 ? static_cast<T>(-1) : T{0};
  return static_cast<T>(a >> n);
}

template <class T>
T bit_field(T a, uint32_t position, uint32_t length) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  using U = std::make_unsigned_t<T>;
  position &= 0xff;
  length &= 0xff;
  if (length == 0) return 0;
  const U u = static_cast<U>(a);
  const uint32_t sign_at = std::min(position + length - 1, kBits - 1);
  const bool sign = std::is_signed_v<T> && (u >> sign_at & 1);
  U field = position >= kBits ? U{0} : static_cast<U>(u >> position);
  const uint32_t have = position >= kBits ? 0 : std::min(length, kBits - position);
  const U low = have >= kBits ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << have) - 1);
  field &= low;
  return static_cast<T>(sign ? static_cast<U>(field | ~low) : field);
}

template <class U>
U bit_insert(U a, U b, uint32_t position, uint32_t length) {
  constexpr uint32_t kBits = 8 * sizeof(U);
  position &= 0xff;
  length &= 0xff;
  if (length == 0 || position >= kBits) return b;
  const U low = length >= kBits ? static_cast<U>(~U{0}) : static_cast<U>((U{1} << length) - 1);
  const U field = static_cast<U>(low << position);
  return (b & ~field) | ((a << position) & field);
}

template <class T>
uint32_t find_bit(T a) {
  if constexpr (std::is_signed_v<T>) {
    if (a < 0) a = ~a;
  }
  const auto u = static_cast<std::make_unsigned_t<T>>(a);
  return u == 0 ? kAll : static_cast<uint32_t>(8 * sizeof(T) - 1 - std::countl_zero(u));
}

uint32_t reverse_bits(uint32_t x) {
  uint32_t result = 0;
  for (int bit = 0; bit < 32; ++bit) result |= (x >> bit & 1) << (31 - bit);
  return result;
}

uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
  uint32_t result = 0;
  for (int n = 0; n < 4; ++n) {
    const uint32_t s = selector >> (4 * n) & 0xf;
    uint32_t byte = static_cast<uint32_t>(bytes >> (8 * (s & 7))) & 0xff;
    if (s & 8) byte = (byte & 0x80) ? 0xff : 0;
    result |= byte << (8 * n);
  }
  return result;
}

uint32_t bit_mask(uint32_t position, uint32_t length) {  // bmsk.clamp
  position = std::min(position, 32U);
  length = std::min(length, 32U);
  const auto low = [](uint32_t n) { return n >= 32 ? kAll : (1U << n) - 1; };
  return low(std::min(position + length, 32U)) & ~low(position);
}

uint32_t funnel(uint32_t a, uint32_t b, uint32_t n, bool left, bool wrap) {
  n = wrap ? n & 31 : std::min(n, 32U);
  const uint64_t both = static_cast<uint64_t>(b) << 32 | a;
  if (left) return static_cast<uint32_t>(n == 32 ? a : both << n >> 32);
  return static_cast<uint32_t>(both >> n);
}

uint32_t dot4(uint32_t a, uint32_t b, uint32_t c, bool is_signed) {
  for (int n = 0; n < 4; ++n) {
    const uint32_t x = a >> (8 * n) & 0xff, y = b >> (8 * n) & 0xff;
    c += is_signed ? static_cast<uint32_t>(static_cast<int8_t>(x) * static_cast<int8_t>(y)) : x * y;
  }
  return c;
}

// The halves of a 16-bit pair one by one.
template <class F>
uint32_t halves(uint32_t a, uint32_t b, uint32_t c, F f) {
  const auto low = [](uint32_t x) { return static_cast<uint16_t>(x); };
  const auto high = [](uint32_t x) { return static_cast<uint16_t>(x >> 16); };
  return f(low(a), low(b), low(c)) | static_cast<uint32_t>(f(high(a), high(b), high(c))) << 16;
}

template <class H>
double value(uint16_t bits) {
  return static_cast<double>(H{bits});
}

class Table {
 public:
  Table() {
    integers();
    floats();
    doubles();
    halves_of<F16>("f16");
    halves_of<BF16>("bf16");
    comparisons();
    rest();
  }
  std::unordered_map<std::string, Operation> map;

 private:
  void add(const std::string& name, const char* widths, Run run, uint8_t flops = 0,
           Count count = Count::kOther) {
    map[name] = {widths, run, flops, count};
  }

#define UNARY(NAME, WIDTHS, D, A, EXPRESSION, ...)                             \
  add(NAME, WIDTHS, [](Warp& w, const Instruction& i, uint32_t m) {            \
    unary<D, A>(w, i, m, [](A a) -> D { return static_cast<D>(EXPRESSION); }); \
  } __VA_OPT__(, ) __VA_ARGS__)
#define BINARY(NAME, WIDTHS, D, A, B, EXPRESSION, ...)                                  \
  add(NAME, WIDTHS, [](Warp& w, const Instruction& i, uint32_t m) {                     \
    binary<D, A, B>(w, i, m, [](A a, B b) -> D { return static_cast<D>(EXPRESSION); }); \
  } __VA_OPT__(, ) __VA_ARGS__)
#define TERNARY(NAME, WIDTHS, D, A, B, C, EXPRESSION, ...)                                       \
  add(NAME, WIDTHS, [](Warp& w, const Instruction& i, uint32_t m) {                              \
    ternary<D, A, B, C>(w, i, m, [](A a, B b, C c) -> D { return static_cast<D>(EXPRESSION); }); \
  } __VA_OPT__(, ) __VA_ARGS__)

  template <class S>
  void integers_of(const std::string& bits, const char* two, const char* three, const char* four,
                   const char* shifted) {
    using U = std::make_unsigned_t<S>;
    for (const char* type : {"s", "u"}) {
      const std::string t = std::string(".") + type + bits;
      BINARY("add" + t, three, U, U, U, a + b);
      BINARY("sub" + t, three, U, U, U, a - b);
      BINARY("mul.lo" + t, three, U, U, U, a * b);
      TERNARY("mad.lo" + t, four, U, U, U, U, a * b + c);
    }
    const std::string s = ".s" + bits, u = ".u" + bits, b_ = ".b" + bits;
    BINARY("mul.hi" + s, three, S, S, S, high_product<S>(a, b));
    BINARY("mul.hi" + u, three, U, U, U, high_product<U>(a, b));
    TERNARY("mad.hi" + s, four, U, S, S, U, static_cast<U>(high_product<S>(a, b)) + c);
    TERNARY("mad.hi" + u, four, U, U, U, U, high_product<U>(a, b) + c);
    BINARY("div" + s, three, S, S, S, quotient(a, b));
    BINARY("div" + u, three, U, U, U, quotient(a, b));
    BINARY("rem" + s, three, S, S, S, remainder(a, b));
    BINARY("rem" + u, three, U, U, U, remainder(a, b));
    BINARY("min" + s, three, S, S, S, a < b ? a : b);
    BINARY("min" + u, three, U, U, U, a < b ? a : b);
    BINARY("max" + s, three, S, S, S, a > b ? a : b);
    BINARY("max" + u, three, U, U, U, a > b ? a : b);
    UNARY("neg" + s, two, U, U, U{0} - a);
    UNARY("abs" + s, two, U, S, a < 0 ? U{0} - static_cast<U>(a) : static_cast<U>(a));
    BINARY("and" + b_, three, U, U, U, a & b);
    BINARY("or" + b_, three, U, U, U, a | b);
    BINARY("xor" + b_, three, U, U, U, a ^ b);
    UNARY("not" + b_, two, U, U, ~a);
    BINARY("shl" + b_, shifted, U, U, uint32_t, shift_left<U>(a, b));
    BINARY("shr" + s, shifted, S, S, uint32_t, shift_right<S>(a, b));
    BINARY("shr" + u, shifted, U, U, uint32_t, shift_right<U>(a, b));
    BINARY("shr" + b_, shifted, U, U, uint32_t, shift_right<U>(a, b));
    for (const char* type : {"s", "u", "b"}) {
      const std::string t = std::string(".") + type + bits;
      UNARY("mov" + t, two, U, U, a);
      add("selp" + t,
          bits == "16"   ? "hhhp"
          : bits == "32" ? "wwwp"
                         : "dddp",
          [](Warp& w, const Instruction& i, uint32_t m) { select<U>(w, i, m); });
    }
  }

  void integers() {
    integers_of<int16_t>("16", "hh", "hhh", "hhhh", "hhw");
    integers_of<int32_t>("32", "ww", "www", "wwww", "www");
    integers_of<int64_t>("64", "dd", "ddd", "dddd", "ddw");
    BINARY("mul.wide.s16", "whh", int32_t, int16_t, int16_t, int32_t{a} * b);
    BINARY("mul.wide.u16", "whh", uint32_t, uint16_t, uint16_t, uint32_t{a} * b);
    BINARY("mul.wide.s32", "dww", int64_t, int32_t, int32_t, int64_t{a} * b);
    BINARY("mul.wide.u32", "dww", uint64_t, uint32_t, uint32_t, uint64_t{a} * b);
    TERNARY("mad.wide.s32", "dwwd", uint64_t, int32_t, int32_t, uint64_t,
            static_cast<uint64_t>(int64_t{a} * b) + c);
    TERNARY("mad.wide.u32", "dwwd", uint64_t, uint32_t, uint32_t, uint64_t, uint64_t{a} * b + c);
    TERNARY("mad.wide.s16", "whhw", uint32_t, int16_t, int16_t, uint32_t,
            static_cast<uint32_t>(int32_t{a} * b) + c);
    TERNARY("mad.wide.u16", "whhw", uint32_t, uint16_t, uint16_t, uint32_t, uint32_t{a} * b + c);
    UNARY("popc.b32", "ww", uint32_t, uint32_t, std::popcount(a));
    UNARY("popc.b64", "wd", uint32_t, uint64_t, std::popcount(a));
    UNARY("clz.b32", "ww", uint32_t, uint32_t, std::countl_zero(a));
    UNARY("clz.b64", "wd", uint32_t, uint64_t, std::countl_zero(a));
    UNARY("brev.b32", "ww", uint32_t, uint32_t, reverse_bits(a));
    UNARY("brev.b64", "dd", uint64_t, uint64_t,
          static_cast<uint64_t>(reverse_bits(static_cast<uint32_t>(a))) << 32 |
              reverse_bits(static_cast<uint32_t>(a >> 32)));
    UNARY("bfind.u32", "ww", uint32_t, uint32_t, find_bit(a));
    UNARY("bfind.s32", "ww", uint32_t, int32_t, find_bit(a));
    UNARY("bfind.u64", "wd", uint32_t, uint64_t, find_bit(a));
    UNARY("bfind.s64", "wd", uint32_t, int64_t, find_bit(a));
    UNARY("bfind.shiftamt.u32", "ww", uint32_t, uint32_t, a == 0 ? kAll : 31 - find_bit(a));
    UNARY("bfind.shiftamt.u64", "wd", uint32_t, uint64_t, a == 0 ? kAll : 63 - find_bit(a));
    TERNARY("bfe.u32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t, bit_field(a, b, c));
    TERNARY("bfe.s32", "wwww", int32_t, int32_t, uint32_t, uint32_t, bit_field(a, b, c));
    TERNARY("bfe.u64", "ddww", uint64_t, uint64_t, uint32_t, uint32_t, bit_field(a, b, c));
    TERNARY("bfe.s64", "ddww", int64_t, int64_t, uint32_t, uint32_t, bit_field(a, b, c));
    add("bfi.b32", "wwwww", [](Warp& w, const Instruction& i, uint32_t m) {
      const auto *a = w.at<uint32_t>(i.r[1]), *b = w.at<uint32_t>(i.r[2]);
      const auto *c = w.at<uint32_t>(i.r[3]), *n = w.at<uint32_t>(i.r[4]);
      each(w.at<uint32_t>(i.r[0]), m, [=](int l) { return bit_insert(a[l], b[l], c[l], n[l]); });
    });
    add("bfi.b64", "dddww", [](Warp& w, const Instruction& i, uint32_t m) {
      const auto *a = w.at<uint64_t>(i.r[1]), *b = w.at<uint64_t>(i.r[2]);
      const auto *c = w.at<uint32_t>(i.r[3]), *n = w.at<uint32_t>(i.r[4]);
      each(w.at<uint64_t>(i.r[0]), m, [=](int l) { return bit_insert(a[l], b[l], c[l], n[l]); });
    });
    BINARY("bmsk.clamp.b32", "www", uint32_t, uint32_t, uint32_t, bit_mask(a, b));
    TERNARY("prmt.b32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t, permute(a, b, c));
    TERNARY("shf.l.wrap.b32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t,
            funnel(a, b, c, true, true));
    TERNARY("shf.r.wrap.b32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t,
            funnel(a, b, c, false, true));
    TERNARY("shf.l.clamp.b32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t,
            funnel(a, b, c, true, false));
    TERNARY("shf.r.clamp.b32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t,
            funnel(a, b, c, false, false));
    TERNARY("dp4a.s32.s32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t, dot4(a, b, c, true));
    TERNARY("dp4a.u32.u32", "wwww", uint32_t, uint32_t, uint32_t, uint32_t, dot4(a, b, c, false));
    add("lop3.b32", "wwwww", [](Warp& w, const Instruction& i, uint32_t m) {
      const auto *a = w.at<uint32_t>(i.r[1]), *b = w.at<uint32_t>(i.r[2]);
      const auto *c = w.at<uint32_t>(i.r[3]), *table = w.at<uint32_t>(i.r[4]);
      each(w.at<uint32_t>(i.r[0]), m, [=](int l) {
        uint32_t result = 0;
        for (uint32_t n = 0; n < 8; ++n) {
          if (!(table[l] >> n & 1)) continue;
          result |= (n & 4 ? a[l] : ~a[l]) & (n & 2 ? b[l] : ~b[l]) & (n & 1 ? c[l] : ~c[l]);
        }
        return result;
      });
    });
  }

  template <class T>
  void floats_of(const std::string& type, const char* two, const char* three, const char* four) {
    for (const std::string rn : {"", ".rn"}) {
      BINARY("add" + rn + type, three, T, T, T, a + b, 1);
      BINARY("sub" + rn + type, three, T, T, T, a - b, 1);
      BINARY("mul" + rn + type, three, T, T, T, a * b, 1);
    }
    TERNARY("fma.rn" + type, four, T, T, T, T, std::fma(a, b, c), 2);
    TERNARY("mad.rn" + type, four, T, T, T, T, std::fma(a, b, c), 2);
    BINARY("div.rn" + type, three, T, T, T, a / b, 1);
    UNARY("rcp.rn" + type, two, T, T, 1 / a, 1);
    UNARY("sqrt.rn" + type, two, T, T, std::sqrt(a), 1);
    UNARY("neg" + type, two, T, T, -a);
    UNARY("abs" + type, two, T, T, std::abs(a));
    BINARY("min" + type, three, T, T, T, minimum(a, b));
    BINARY("max" + type, three, T, T, T, maximum(a, b));
    BINARY("copysign" + type, three, T, T, T, std::copysign(b, a));
    UNARY("mov" + type, two, T, T, a);
    directed<T, FE_DOWNWARD>("rm", type, three, four);
    directed<T, FE_UPWARD>("rp", type, three, four);
    directed<T, FE_TOWARDZERO>("rz", type, three, four);
  }

  template <class T, int kMode>
  void directed(const std::string& mode, const std::string& type, const char* three,
                const char* four) {
    add(
        "add." + mode + type, three,
        [](Warp& w, const Instruction& i, uint32_t m) {
          rounded<kMode>([&] { binary<T, T, T>(w, i, m, [](T a, T b) { return a + b; }); });
        },
        1);
    add(
        "sub." + mode + type, three,
        [](Warp& w, const Instruction& i, uint32_t m) {
          rounded<kMode>([&] { binary<T, T, T>(w, i, m, [](T a, T b) { return a - b; }); });
        },
        1);
    add(
        "mul." + mode + type, three,
        [](Warp& w, const Instruction& i, uint32_t m) {
          rounded<kMode>([&] { binary<T, T, T>(w, i, m, [](T a, T b) { return a * b; }); });
        },
        1);
    add(
        "fma." + mode + type, four,
        [](Warp& w, const Instruction& i, uint32_t m) {
          rounded<kMode>([&] {
            ternary<T, T, T, T>(w, i, m, [](T a, T b, T c) { return std::fma(a, b, c); });
          });
        },
        2);
  }

  void floats() {
    floats_of<float>(".f32", "ww", "www", "wwww");
    // Flushing of subnormal operands and results.
    BINARY("add.ftz.f32", "www", float, float, float, flush(flush(a) + flush(b)), 1);
    BINARY("sub.ftz.f32", "www", float, float, float, flush(flush(a) - flush(b)), 1);
    BINARY("mul.ftz.f32", "www", float, float, float, flush(flush(a) * flush(b)), 1);
    TERNARY("fma.rn.ftz.f32", "wwww", float, float, float, float,
            flush(std::fma(flush(a), flush(b), flush(c))), 2);
    UNARY("neg.ftz.f32", "ww", float, float, flush(-a));
    UNARY("abs.ftz.f32", "ww", float, float, flush(std::abs(a)));
    BINARY("min.ftz.f32", "www", float, float, float, minimum(flush(a), flush(b)));
    BINARY("max.ftz.f32", "www", float, float, float, maximum(flush(a), flush(b)));
    BINARY("min.NaN.f32", "www", float, float, float, nan_or(a, b, minimum(a, b)));
    BINARY("max.NaN.f32", "www", float, float, float, nan_or(a, b, maximum(a, b)));
    UNARY("sqrt.rn.ftz.f32", "ww", float, float, flush(std::sqrt(flush(a))), 1);
    BINARY("add.sat.f32", "www", float, float, float, saturate(a + b), 1);
    BINARY("mul.sat.f32", "www", float, float, float, saturate(a * b), 1);
    TERNARY("fma.rn.sat.f32", "wwww", float, float, float, float, saturate(std::fma(a, b, c)), 2);
    // The approximations are computed as exactly as float holds them.
    for (const std::string ftz : {"", ".ftz"}) {
      const auto special = Count::kSpecialFunction;
      const std::string t = ftz + ".f32";
      if (ftz.empty()) {
        UNARY("ex2.approx.f32", "ww", float, float, std::exp2(static_cast<double>(a)), 0, special);
        UNARY("rcp.approx.f32", "ww", float, float, 1 / a, 0, special);
        UNARY("sqrt.approx.f32", "ww", float, float, std::sqrt(a), 0, special);
        BINARY("div.approx.f32", "www", float, float, float, a / b, 1, special);
        BINARY("div.full.f32", "www", float, float, float, a / b, 1, special);
        UNARY("rsqrt.approx.f32", "ww", float, float, 1 / std::sqrt(static_cast<double>(a)), 0,
              special);
        UNARY("lg2.approx.f32", "ww", float, float, std::log2(static_cast<double>(a)), 0, special);
        UNARY("sin.approx.f32", "ww", float, float, std::sin(static_cast<double>(a)), 0, special);
        UNARY("cos.approx.f32", "ww", float, float, std::cos(static_cast<double>(a)), 0, special);
      } else {
        UNARY("ex2.approx.ftz.f32", "ww", float, float,
              flush(static_cast<float>(std::exp2(static_cast<double>(flush(a))))), 0, special);
        UNARY("rcp.approx.ftz.f32", "ww", float, float, flush(1 / flush(a)), 0, special);
        UNARY("sqrt.approx.ftz.f32", "ww", float, float, std::sqrt(flush(a)), 0, special);
        BINARY("div.approx.ftz.f32", "www", float, float, float, flush(flush(a) / flush(b)), 1,
               special);
        BINARY("div.full.ftz.f32", "www", float, float, float, flush(flush(a) / flush(b)), 1,
               special);
        UNARY("rsqrt.approx.ftz.f32", "ww", float, float,
              1 / std::sqrt(static_cast<double>(flush(a))), 0, special);
        UNARY("lg2.approx.ftz.f32", "ww", float, float, std::log2(static_cast<double>(flush(a))), 0,
              special);
        UNARY("sin.approx.ftz.f32", "ww", float, float, std::sin(static_cast<double>(flush(a))), 0,
              special);
        UNARY("cos.approx.ftz.f32", "ww", float, float, std::cos(static_cast<double>(flush(a))), 0,
              special);
      }
    }
    UNARY("tanh.approx.f32", "ww", float, float, std::tanh(static_cast<double>(a)), 0,
          Count::kSpecialFunction);
  }

  static float saturate(float x) { return x > 0 ? std::min(x, 1.0F) : 0; }  // of a NaN 0

  void doubles() {
    floats_of<double>(".f64", "dd", "ddd", "dddd");
    // Of the upper half of the bits only, as the hardware's.
    UNARY("rcp.approx.ftz.f64", "dd", double, double,
          std::bit_cast<double>(
              std::bit_cast<uint64_t>(
                  1 / std::bit_cast<double>(std::bit_cast<uint64_t>(a) >> 32 << 32)) >>
              32 << 32),
          0, Count::kSpecialFunction);
    UNARY("rsqrt.approx.ftz.f64", "dd", double, double,
          std::bit_cast<double>(
              std::bit_cast<uint64_t>(
                  1 / std::sqrt(std::bit_cast<double>(std::bit_cast<uint64_t>(a) >> 32 << 32))) >>
              32 << 32),
          0, Count::kSpecialFunction);
  }

#define HALF1(NAME, EXPRESSION, FLOPS)                                                        \
  UNARY(NAME + type, "hh", uint16_t, uint16_t, of<H>([](double x) { return EXPRESSION; }, a), \
        FLOPS);                                                                               \
  UNARY(NAME + type + "x2", "ww", uint32_t, uint32_t,                                         \
        halves(a, 0, 0,                                                                       \
               [](uint16_t u, uint16_t, uint16_t) {                                           \
                 return of<H>([](double x) { return EXPRESSION; }, u);                        \
               }),                                                                            \
        2 * FLOPS)
#define HALF2(NAME, EXPRESSION, FLOPS)                                               \
  BINARY(NAME + type, "hhh", uint16_t, uint16_t, uint16_t,                           \
         of<H>([](double x, double y) { return EXPRESSION; }, a, b), FLOPS);         \
  BINARY(NAME + type + "x2", "www", uint32_t, uint32_t, uint32_t,                    \
         halves(a, b, 0,                                                             \
                [](uint16_t u, uint16_t v, uint16_t) {                               \
                  return of<H>([](double x, double y) { return EXPRESSION; }, u, v); \
                }),                                                                  \
         2 * FLOPS)

  template <class H, class F, class... Bits>
  static uint16_t of(F f, Bits... bits) {
    return H::from(f(value<H>(bits)...)).bits;
  }

  // Sums and products of 16-bit floats are exact in double up to sum_to_odd().
  template <class H>
  void halves_of(const std::string& name) {
    const std::string type = "." + name;
    for (const std::string rn : {"", ".rn"}) {
      HALF2("add" + rn, sum_to_odd(x, y), 1);
      HALF2("sub" + rn, sum_to_odd(x, -y), 1);
      HALF2("mul" + rn, x * y, 1);
    }
    TERNARY("fma.rn" + type, "hhhh", uint16_t, uint16_t, uint16_t, uint16_t,
            of<H>([](double x, double y, double z) { return sum_to_odd(x * y, z); }, a, b, c), 2);
    TERNARY("fma.rn" + type + "x2", "wwww", uint32_t, uint32_t, uint32_t, uint32_t,
            halves(a, b, c,
                   [](uint16_t u, uint16_t v, uint16_t s) {
                     return of<H>([](double x, double y, double z) { return sum_to_odd(x * y, z); },
                                  u, v, s);
                   }),
            4);
    HALF2("min", minimum(x, y), 0);
    HALF2("max", maximum(x, y), 0);
    HALF2("min.NaN", nan_or(x, y, minimum(x, y)), 0);
    HALF2("max.NaN", nan_or(x, y, maximum(x, y)), 0);
    UNARY("neg" + type, "hh", uint16_t, uint16_t, a ^ 0x8000);
    UNARY("neg" + type + "x2", "ww", uint32_t, uint32_t, a ^ 0x80008000U);
    UNARY("abs" + type, "hh", uint16_t, uint16_t, a & 0x7fff);
    UNARY("abs" + type + "x2", "ww", uint32_t, uint32_t, a & 0x7fff7fffU);
  }

  template <class T, class F>
  void comparison(const std::string& name, const char* widths, F) {
    add("setp." + name, widths,
        [](Warp& w, const Instruction& i, uint32_t m) { compare<T>(w, i, m, F{}); });
  }

  template <class T>
  void integer_comparisons(const std::string& type, const char* widths) {
    comparison<T>("eq" + type, widths, [](T a, T b) { return a == b; });
    comparison<T>("ne" + type, widths, [](T a, T b) { return a != b; });
    comparison<T>("lt" + type, widths, [](T a, T b) { return a < b; });
    comparison<T>("le" + type, widths, [](T a, T b) { return a <= b; });
    comparison<T>("gt" + type, widths, [](T a, T b) { return a > b; });
    comparison<T>("ge" + type, widths, [](T a, T b) { return a >= b; });
    comparison<T>("lo" + type, widths, [](T a, T b) { return a < b; });
    comparison<T>("ls" + type, widths, [](T a, T b) { return a <= b; });
    comparison<T>("hi" + type, widths, [](T a, T b) { return a > b; });
    comparison<T>("hs" + type, widths, [](T a, T b) { return a >= b; });
  }

  // kValue: bits as a number. The u forms are true with a NaN.
  template <class T, auto kValue>
  void float_comparisons(const std::string& type, const char* widths) {
#define COMPARE(NAME, EXPRESSION)                   \
  comparison<T>(NAME + type, widths, [](T s, T t) { \
    const auto a = kValue(s), b = kValue(t);        \
    return EXPRESSION;                              \
  })
    COMPARE("eq", a == b);
    COMPARE("ne", a < b || a > b);
    COMPARE("lt", a < b);
    COMPARE("le", a <= b);
    COMPARE("gt", a > b);
    COMPARE("ge", a >= b);
    COMPARE("equ", !(a < b || a > b));
    COMPARE("neu", a != b);
    COMPARE("ltu", !(a >= b));
    COMPARE("leu", !(a > b));
    COMPARE("gtu", !(a <= b));
    COMPARE("geu", !(a < b));
    COMPARE("num", a == a && b == b);
    COMPARE("nan", a != a || b != b);
#undef COMPARE
  }

  void comparisons() {
    integer_comparisons<int16_t>(".s16", "phh");
    integer_comparisons<uint16_t>(".u16", "phh");
    integer_comparisons<uint16_t>(".b16", "phh");
    integer_comparisons<int32_t>(".s32", "pww");
    integer_comparisons<uint32_t>(".u32", "pww");
    integer_comparisons<uint32_t>(".b32", "pww");
    integer_comparisons<int64_t>(".s64", "pdd");
    integer_comparisons<uint64_t>(".u64", "pdd");
    integer_comparisons<uint64_t>(".b64", "pdd");
    float_comparisons<float, [](float x) { return x; }>(".f32", "pww");
    float_comparisons<float, [](float x) { return flush(x); }>(".ftz.f32", "pww");
    float_comparisons<double, [](double x) { return x; }>(".f64", "pdd");
    float_comparisons<uint16_t, value<F16>>(".f16", "phh");
    float_comparisons<uint16_t, value<BF16>>(".bf16", "phh");
  }

  void rest() {
    add("selp.f32", "wwwp", select<uint32_t>);
    add("selp.f64", "dddp", select<uint64_t>);
#define PREDICATES(NAME, WIDTHS, EXPRESSION)                                           \
  add(NAME, WIDTHS, [](Warp& w, const Instruction& i, uint32_t m) {                    \
    predicates(w, i, m, []([[maybe_unused]] uint32_t a, [[maybe_unused]] uint32_t b) { \
      return EXPRESSION;                                                               \
    });                                                                                \
  })
    PREDICATES("and.pred", "ppp", a & b);
    PREDICATES("or.pred", "ppp", a | b);
    PREDICATES("xor.pred", "ppp", a ^ b);
    PREDICATES("not.pred", "pp", ~a);
    PREDICATES("mov.pred", "pp", a);
  }
};

}  // namespace

const std::unordered_map<std::string, Operation>& operations() {
  static const Table table;
  return table.map;
}

void run_nothing(Warp&, const Instruction&, uint32_t) {}

// mov.b32 d, {a, b}: n_arguments parts of `bytes` each, the first one lowest.
void run_pack(Warp& w, const Instruction& i, uint32_t mask) {
  for (int l = 0; l < kLanes; ++l) {
    if (!(mask >> l & 1)) continue;
    for (uint32_t n = 0; n < i.n_arguments; ++n) {
      std::memcpy(w.at<uint8_t>(i.r[0]) + l * i.register_bytes + n * i.bytes,
                  w.at<uint8_t>(i.r[n + 1]) + l * i.bytes, i.bytes);
    }
  }
}

void run_unpack(Warp& w, const Instruction& i, uint32_t mask) {
  for (int l = 0; l < kLanes; ++l) {
    if (!(mask >> l & 1)) continue;
    for (uint32_t n = 0; n < i.n_arguments; ++n) {
      std::memcpy(w.at<uint8_t>(i.r[n + 1]) + l * i.bytes,
                  w.at<uint8_t>(i.r[0]) + l * i.register_bytes + n * i.bytes, i.bytes);
    }
  }
}

}  // namespace kvbench::ptx
