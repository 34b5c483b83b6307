// The instructions of tensor cores for 16-bit elements, which multiply exactly and add in float32.
#pragma once

#include "kernels/common/cuda_common.cuh"

namespace kvbench {

// Four matrices of 8 x 8 elements of 16 bits; lane i names row i % 8 of matrix i / 8. Every lane
// gets two neighbours of row lane / 4 of each, transposed those of a column.
__device__ inline void load_matrices(unsigned (&to)[4], const void* from_shared) {
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(from_shared));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

__device__ inline void load_transposed(unsigned (&to)[4], const void* from_shared) {
  const auto from = static_cast<unsigned>(__cvta_generic_to_shared(from_shared));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
               : "r"(from)
               : "memory");
}

// Two elements as a lane of a matrix has them, the first in the lower half.
template <class T>
__device__ unsigned pair_of(float x, float y) {
  struct alignas(4) Pair {
    T low, high;
  };
  const Pair pair = {from_float<T>(x), from_float<T>(y)};
  return *reinterpret_cast<const unsigned*>(&pair);
}

// c += a b of 16 x 16 and 16 x 8 elements.
#define KVB_MMA(TYPE)                                                                 \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                 \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)                               \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1))
__device__ inline void multiply_add(__nv_bfloat16, float& c0, float& c1, float& c2, float& c3,
                                    const unsigned (&a)[4], unsigned b0, unsigned b1) {
  KVB_MMA("bf16");
}
__device__ inline void multiply_add(__half, float& c0, float& c1, float& c2, float& c3,
                                    const unsigned (&a)[4], unsigned b0, unsigned b1) {
  KVB_MMA("f16");
}
#undef KVB_MMA

}  // namespace kvbench
