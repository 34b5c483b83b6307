// Stored elements as float and back, for CPU kernels: scalars and vectors.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/common/ragged_cache.h"

#if defined(__AVX512F__) || defined(__F16C__)
#include <immintrin.h>
#endif

namespace kvbench {

// GCC and Clang vector extension. No wider than the machine's registers: GCC 12 keeps wider vectors
// in memory, which makes a product three times slower.
#ifdef __AVX512F__
inline constexpr int64_t kLanes = 16;
#else
inline constexpr int64_t kLanes = 8;
#endif
using Vec = float __attribute__((vector_size(4 * kLanes)));
using Bits16 = uint16_t __attribute__((vector_size(2 * kLanes)));
using Bits32 = uint32_t __attribute__((vector_size(4 * kLanes)));

// GCC 12 would load a vector again for every product that it is in, and then wait for loads.
inline Vec in_register(Vec v) {
#ifdef __AVX__
  asm("" : "+v"(v));
#endif
  return v;
}

// load_step() loads kStepVecs vectors at once, in which numbers may lie in another order: the k-th
// one in vector k % kStepVecs.
struct Float32 {
  using Storage = float;
  static constexpr int64_t kStepVecs = 1;
  static float load(const Storage* p) { return *p; }
  static Vec load_lanes(const Storage* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void load_step(const Storage* p, Vec* x) { x[0] = load_lanes(p); }
  static Storage from(float x) { return x; }
  static void store_lanes(Vec v, Storage* p) { std::memcpy(p, &v, sizeof v); }
  static Vec round_lanes(Vec v) { return v; }
};

struct BFloat16 {
  using Storage = uint16_t;
  static constexpr int64_t kStepVecs = 2;
  static float load(const Storage* p) {
    const uint32_t bits = static_cast<uint32_t>(*p) << 16;
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
  }
  static Vec load_lanes(const Storage* p) {
    Bits16 half;
    std::memcpy(&half, p, sizeof half);
    const Bits32 bits = __builtin_convertvector(half, Bits32) << 16;
    Vec v;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }
  static void load_step(const Storage* p, Vec* x) {  // one operation for each half of the words
    Bits32 words;
    std::memcpy(&words, p, sizeof words);
    x[0] = reinterpret_cast<Vec>(words << 16);
    x[1] = reinterpret_cast<Vec>(words & 0xffff0000U);
  }
  static Storage from(float x) {  // round to nearest, ties to even; a NaN stays a NaN
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if (x != x) return static_cast<Storage>((bits >> 16) | 0x40);
    return static_cast<Storage>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
  }
  static void store_lanes(Vec v, Storage* p) {
    const Bits16 half = __builtin_convertvector(bits_of(v), Bits16);
    std::memcpy(p, &half, sizeof half);
  }
  // What a load would give of the lanes stored.
  static Vec round_lanes(Vec v) {
    const Bits32 bits = bits_of(v) << 16;
    std::memcpy(&v, &bits, sizeof v);
    return v;
  }

 private:
  static Bits32 bits_of(Vec v) {
    Bits32 bits;
    std::memcpy(&bits, &v, sizeof bits);
    const Bits32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return v == v ? rounded : ((bits >> 16) | 0x40);
  }
};

struct Float16 {
  using Storage = uint16_t;
  static constexpr int64_t kStepVecs = 1;
  static float load(const Storage* p) {
    _Float16 half;
    std::memcpy(&half, p, sizeof half);
    return static_cast<float>(half);
  }
  static Vec load_lanes(const Storage* p) {
    Bits16 half;
    std::memcpy(&half, p, sizeof half);
#if defined(__AVX512F__)  // maskz: GCC bug 105593, a false warning of the plain form
    return reinterpret_cast<Vec>(_mm512_maskz_cvtph_ps(0xffff, reinterpret_cast<__m256i>(half)));
#elif defined(__F16C__)
    return reinterpret_cast<Vec>(_mm256_cvtph_ps(reinterpret_cast<__m128i>(half)));
#else
    Vec v;
    for (int64_t i = 0; i < kLanes; ++i) v[i] = load(p + i);
    return v;
#endif
  }
  static void load_step(const Storage* p, Vec* x) { x[0] = load_lanes(p); }
  static Storage from(float x) {
    const auto half = static_cast<_Float16>(x);
    Storage bits;
    std::memcpy(&bits, &half, sizeof bits);
    return bits;
  }
  static void store_lanes(Vec v, Storage* p) {
#if defined(__AVX512F__)
    const __m256i half = _mm512_maskz_cvtps_ph(0xffff, reinterpret_cast<__m512>(v),
                                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    std::memcpy(p, &half, sizeof half);
#elif defined(__F16C__)
    const __m128i half = _mm256_cvtps_ph(reinterpret_cast<__m256>(v), _MM_FROUND_TO_NEAREST_INT);
    std::memcpy(p, &half, sizeof half);
#else
    for (int64_t i = 0; i < kLanes; ++i) p[i] = from(v[i]);
#endif
  }
  static Vec round_lanes(Vec v) {
    Storage stored[kLanes];
    store_lanes(v, stored);
    return load_lanes(stored);
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

// x as E stores it, in float.
template <class E>
float rounded(float x) {
  const typename E::Storage stored = E::from(x);
  return E::load(&stored);
}

// with_element of a dtype and of a weight's, which is the same or float32.
template <class F>
void with_element_and_weight(DType dtype, DType weight_dtype, F&& f) {
  with_element(dtype, [&](auto element) {
    if (weight_dtype == DType::kFloat32) {
      f(element, Float32{});
    } else {
      f(element, element);
    }
  });
}

}  // namespace kvbench
