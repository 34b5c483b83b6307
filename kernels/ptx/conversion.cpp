// cvt: between integers and floats of all widths.
#include <algorithm>
#include <cfenv>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/ptx/machine.h"
#include "kernels/ptx/number.h"
#include "kernels/ptx/operands.h"

namespace kvbench::ptx {
namespace {

enum Mode : uint8_t {
  kNone,
  kNearest,
  kZero,
  kTowardLow,
  kTowardHigh,
  kIntNearest,
  kIntZero,
  kIntDown,
  kIntUp
};

template <class T>
constexpr bool kIsHalf = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;
template <class T>
constexpr bool kIsFloat = std::is_floating_point_v<T> || kIsHalf<T>;

double to_integer(double x, uint8_t mode) {
  switch (mode) {
    case kIntNearest:
      return std::nearbyint(x);
    case kIntZero:
      return std::trunc(x);
    case kIntDown:
      return std::floor(x);
    case kIntUp:
      return std::ceil(x);
    default:
      return x;
  }
}

// A float with some bits less, in a direction; halves only to nearest or zero.
template <class To>
To narrow(double x, uint8_t mode) {
  if constexpr (kIsHalf<To>) {
    To result = To::from(x);
    if (mode == kZero && std::abs(static_cast<double>(result)) > std::abs(x)) --result.bits;
    return result;
  } else {
    auto result = static_cast<To>(x);
    const auto wide = static_cast<double>(result);
    const To infinity = std::numeric_limits<To>::infinity();
    if ((mode == kTowardLow || (mode == kZero && x > 0)) && wide > x) {
      result = std::nextafter(result, -infinity);
    }
    if ((mode == kTowardHigh || (mode == kZero && x < 0)) && wide < x) {
      result = std::nextafter(result, infinity);
    }
    return result;
  }
}

template <class To, class From>
To convert(From from, uint8_t mode, bool saturate) {
  if constexpr (!kIsFloat<From> && !kIsFloat<To>) {
    if (!saturate) return static_cast<To>(from);
    const __int128 wide = from;
    return static_cast<To>(
        std::clamp<__int128>(wide, std::numeric_limits<To>::min(), std::numeric_limits<To>::max()));
  } else if constexpr (!kIsFloat<From>) {
    if constexpr (kIsHalf<To>) {
      // 64-bit integers to double, to odd: the second rounding is right then.
      const auto x = static_cast<double>(from);
      const auto error =
          static_cast<double>(static_cast<__int128>(from) - static_cast<__int128>(x));
      return To::from(round_to_odd(x, error));
    } else {
      return static_cast<To>(from);  // to nearest
    }
  } else if constexpr (!kIsFloat<To>) {
    const auto x = static_cast<double>(from);
    if (std::isnan(x)) {
      if constexpr (sizeof(From) == 8 || sizeof(To) == 8) {
        return static_cast<To>(uint64_t{1} << (8 * sizeof(To) - 1));
      }
      return 0;
    }
    const double rounded = to_integer(x, mode);
    // The bounds as doubles: one behind the largest is exact, the largest may not be.
    if (rounded >= std::ldexp(1.0, 8 * sizeof(To) - (std::is_signed_v<To> ? 1 : 0))) {
      return std::numeric_limits<To>::max();
    }
    if (rounded <= static_cast<double>(std::numeric_limits<To>::min())) {
      return std::numeric_limits<To>::min();
    }
    return static_cast<To>(rounded);
  } else {
    const auto x = static_cast<double>(from);
    double y = mode >= kIntNearest ? to_integer(x, mode) : x;
    if (mode >= kIntNearest && std::isfinite(x)) y = std::copysign(y, x);
    if (saturate) y = y > 0 ? std::min(y, 1.0) : 0;  // of a NaN and -0 it is 0
    return narrow<To>(y, mode);
  }
}

template <class From>
void read(const Warp& w, const Instruction& i, From* to) {
  const auto load = [&]<class R>(R) {
    const R* from = w.at<R>(i.r[1]);
    for (int l = 0; l < kLanes; ++l) {
      if constexpr (std::is_integral_v<From>) {
        to[l] = static_cast<From>(from[l]);
      } else {
        std::memcpy(&to[l], &from[l], std::min(sizeof(From), sizeof(R)));
      }
    }
  };
  switch (i.source_bytes) {
    case 2:
      return load(uint16_t{});
    case 4:
      return load(uint32_t{});
    default:
      return load(uint64_t{});
  }
}

template <class To>
void write(const Warp& w, const Instruction& i, uint32_t mask, const To* from) {
  const auto store = [&]<class R>(R) {
    R* to = w.at<R>(i.r[0]);
    for (int l = 0; l < kLanes; ++l) {
      R value = 0;
      if constexpr (std::is_integral_v<To>) {
        value = static_cast<R>(from[l]);  // sign or zero extended
      } else {
        std::memcpy(&value, &from[l], std::min(sizeof(To), sizeof(R)));
      }
      to[l] = (mask >> l & 1) ? value : to[l];
    }
  };
  switch (i.register_bytes) {
    case 2:
      return store(uint16_t{});
    case 4:
      return store(uint32_t{});
    default:
      return store(uint64_t{});
  }
}

template <class To, class From>
void run(Warp& w, const Instruction& i, uint32_t mask) {
  From from[kLanes];
  To to[kLanes];
  read(w, i, from);
  if (!i.saturate && i.mode <= kNearest) {
    for (int l = 0; l < kLanes; ++l) to[l] = convert<To, From>(from[l], kNearest, false);
  } else {
    for (int l = 0; l < kLanes; ++l) to[l] = convert<To, From>(from[l], i.mode, i.saturate);
  }
  write(w, i, mask, to);
}

// cvt.rn.bf16x2.f32 d, high, low.
template <class H>
void run_pair(Warp& w, const Instruction& i, uint32_t mask) {
  const float *high = w.at<float>(i.r[1]), *low = w.at<float>(i.r[2]);
  auto* d = w.at<uint32_t>(i.r[0]);
  for (int l = 0; l < kLanes; ++l) {
    if (!(mask >> l & 1)) continue;
    d[l] = static_cast<uint32_t>(narrow<H>(static_cast<double>(high[l]), i.mode).bits) << 16 |
           narrow<H>(static_cast<double>(low[l]), i.mode).bits;
  }
}

template <class To>
Run from_type(const std::string& from) {
  if (from == "u8") return run<To, uint8_t>;
  if (from == "s8") return run<To, int8_t>;
  if (from == "u16") return run<To, uint16_t>;
  if (from == "s16") return run<To, int16_t>;
  if (from == "u32") return run<To, uint32_t>;
  if (from == "s32") return run<To, int32_t>;
  if (from == "u64") return run<To, uint64_t>;
  if (from == "s64") return run<To, int64_t>;
  if (from == "f16") return run<To, F16>;
  if (from == "bf16") return run<To, BF16>;
  if (from == "f32") return run<To, float>;
  if (from == "f64") return run<To, double>;
  return nullptr;
}

Run run_of(const std::string& to, const std::string& from) {
  if (to == "u8") return from_type<uint8_t>(from);
  if (to == "s8") return from_type<int8_t>(from);
  if (to == "u16") return from_type<uint16_t>(from);
  if (to == "s16") return from_type<int16_t>(from);
  if (to == "u32") return from_type<uint32_t>(from);
  if (to == "s32") return from_type<int32_t>(from);
  if (to == "u64") return from_type<uint64_t>(from);
  if (to == "s64") return from_type<int64_t>(from);
  if (to == "f16") return from_type<F16>(from);
  if (to == "bf16") return from_type<BF16>(from);
  if (to == "f32") return from_type<float>(from);
  if (to == "f64") return from_type<double>(from);
  if (to == "f16x2" && from == "f32") return run_pair<F16>;
  if (to == "bf16x2" && from == "f32") return run_pair<BF16>;
  return nullptr;
}

}  // namespace

void decode_conversion(const std::string& opcode, Instruction& i) {
  const std::vector<std::string> parts = split_opcode(opcode);
  static const std::unordered_map<std::string, Mode> modes = {
      {"rn", kNearest},     {"rz", kZero},     {"rm", kTowardLow}, {"rp", kTowardHigh},
      {"rni", kIntNearest}, {"rzi", kIntZero}, {"rmi", kIntDown},  {"rpi", kIntUp}};
  if (parts.size() < 3) throw PtxError("unknown instruction " + opcode);
  const std::string from = parts.back(), to = parts[parts.size() - 2];
  for (size_t n = 1; n + 2 < parts.size(); ++n) {
    if (parts[n] == "sat") {
      i.saturate = true;
    } else if (const auto mode = modes.find(parts[n]); mode != modes.end()) {
      i.mode = mode->second;
    } else {
      throw PtxError("unknown modifier " + parts[n] + " of " + opcode);
    }
  }
  const bool from_integer = from[0] == 'u' || from[0] == 's';
  const bool to_integer = to[0] == 'u' || to[0] == 's';
  const bool wrong = from_integer ? (to_integer ? i.mode != kNone : i.mode != kNearest)
                                  : to_integer && i.mode < kIntNearest;
  const bool half_direction =
      to.find("f16") != std::string::npos && i.mode > kZero && i.mode < kIntNearest;
  i.run = run_of(to, from);
  if (i.run == nullptr || wrong || half_direction) throw PtxError("unknown instruction " + opcode);
}

}  // namespace kvbench::ptx
