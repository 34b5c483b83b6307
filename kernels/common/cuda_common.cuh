// What CUDA kernels share: elements as float and back, 16 bytes at a time, sums of a warp.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>

#include "kernels/common/ragged_cache.h"

namespace kvbench {

inline constexpr int kWarp = 32;
inline constexpr unsigned kWholeWarp = 0xffffffffU;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ inline float to_float(__half x) { return __half2float(x); }

// Rounded to nearest, ties to even.
template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}

// As many elements as 16 bytes hold: one access of memory.
template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T at[kSize];
};

template <class T>
__device__ inline Pack<T> load_pack(const T* from) {
  const int4 bits = *reinterpret_cast<const int4*>(from);
  return *reinterpret_cast<const Pack<T>*>(&bits);
}

template <class T>
__device__ inline void store_pack(const Pack<T>& pack, T* to) {
  *reinterpret_cast<int4*>(to) = *reinterpret_cast<const int4*>(&pack);
}

// Whether accesses of 16 bytes may begin there.
template <class... T>
bool are_aligned(const T*... pointers) {
  return ((reinterpret_cast<uintptr_t>(pointers) % 16 == 0) && ...);
}

// The same of every row's begin, strides in elements.
inline bool has_packs(const void* data, int64_t element_bytes,
                      std::initializer_list<int64_t> strides) {
  bool fine = are_aligned(data);
  for (const int64_t stride : strides) fine = fine && stride * element_bytes % 16 == 0;
  return fine;
}

inline bool has_packs(const HeadRows& rows, int64_t element_bytes) {
  return has_packs(rows.data, element_bytes, {rows.head_stride, rows.row_stride});
}

// Whether rows of head_dim elements are whole packs, too.
inline bool has_packs(const HeadRows& rows, int64_t head_dim, DType dtype) {
  const int64_t bytes = element_bytes(dtype);
  return head_dim * bytes % 16 == 0 && has_packs(rows, bytes);
}

// The larger one, or NaN if there is one.
__device__ inline float larger(float x, float y) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(x), "f"(y));
  return result;
}

// 2^x in one instruction, 0 where exp2f would be a denormal number.
__device__ inline float power_of_two(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// Of all 32 lanes, in every lane. One order of the sum whatever the schedule.
__device__ inline float warp_sum(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    x += __shfl_xor_sync(kWholeWarp, x, distance);
  }
  return x;
}

__device__ inline float warp_max(float x) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, distance));
  }
  return x;
}

// Calls f with a value of the element type: with_cuda_element(dtype, [&](auto element) {...}).
template <class F>
auto with_cuda_element(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBFloat16:
      return f(__nv_bfloat16{});
    case DType::kFloat16:
      return f(__half{});
    case DType::kFloat32:
      break;
  }
  return f(float{});
}

// with_cuda_element of a dtype and of a weight's, which is the same or float32.
template <class F>
void with_cuda_element_and_weight(DType dtype, DType weight_dtype, F&& f) {
  with_cuda_element(dtype, [&](auto element) {
    if (weight_dtype == DType::kFloat32) {
      f(element, float{});
    } else {
      f(element, element);
    }
  });
}

// x as T stores it.
template <class T>
__device__ inline float rounded(float x) {
  return to_float(from_float<T>(x));
}

}  // namespace kvbench
