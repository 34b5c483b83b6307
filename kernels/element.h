// Stored elements as float and back, for CPU kernels: scalars and vectors of 16.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/ragged_cache.h"

namespace kvbench {

// GCC and Clang vector extension: one AVX-512 register, or as many smaller ones as the machine has.
using Vec16 = float __attribute__((vector_size(64)));
using Bits16x16 = uint16_t __attribute__((vector_size(32)));
using Bits32x16 = uint32_t __attribute__((vector_size(64)));
inline constexpr int64_t kLanes = 16;

struct Float32 {
  using Storage = float;
  static float load(const Storage* p) { return *p; }
  static Vec16 load16(const Storage* p) {
    Vec16 v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static Storage from(float x) { return x; }
};

struct BFloat16 {
  using Storage = uint16_t;
  static float load(const Storage* p) {
    const uint32_t bits = static_cast<uint32_t>(*p) << 16;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static Vec16 load16(const Storage* p) {
    Bits16x16 half;
    std::memcpy(&half, p, sizeof half);
    const Bits32x16 bits = __builtin_convertvector(half, Bits32x16) << 16;
    Vec16 v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  static Storage from(float x) {  // round to nearest, ties to even; a NaN stays a NaN
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (x != x) return static_cast<Storage>((bits >> 16) | 0x40);
    return static_cast<Storage>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
};

struct Float16 {
  using Storage = uint16_t;
  static float load(const Storage* p) {
    _Float16 half;
    std::memcpy(&half, p, sizeof half);
    return static_cast<float>(half);
  }
  static Vec16 load16(const Storage* p) {
    Vec16 v;
    for (int64_t i = 0; i < kLanes; ++i) v[i] = load(p + i);
    return v;
  }
  static Storage from(float x) {
    const auto half = static_cast<_Float16>(x);
    Storage bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
  }
};

// Calls `f` with the element type of `dtype`: with_element(dtype, [&](auto element) {...}).
template <class F>
void with_element(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(Float32{});
    case DType::kBFloat16:
      return f(BFloat16{});
    case DType::kFloat16:
      return f(Float16{});
  }
}

}  // namespace kvbench
