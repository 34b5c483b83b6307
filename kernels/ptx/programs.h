// Kernels that use what CUDA offers beyond plain arithmetic, for the engine's own tests.
#pragma once

#include <cstdint>

namespace kvbench::ptx {

// One block of 128 threads: exclusive sums, the keys sorted in descending order with their places,
// and the sum of all keys. CUB's block primitives.
void launch_cub(const int* counts, const float* keys, int* sums, float* sorted, int* places,
                float* total);

// d[16, 8] = a[16, 16] b[16, 8] + c, rows first, by cp.async, ldmatrix and mma, one warp.
// type: 0 bfloat16, 1 float16 with float sums, 2 float16 with float16 sums (c and d are floats).
void launch_mma(int type, const uint16_t* a, const uint16_t* b, const float* c, float* d);

inline constexpr int kWarpResults = 20;
// out[kWarpResults][32]: what each warp operation gives each lane; values int [32].
void launch_warp(const int* values, int* out);

// Sums of 64 threads through a function that is not inlined, a local array, constants, a variable
// of the module that each launch raises by 1, and a named barrier. out [64].
void launch_module(const float* in, float* out, int n);
int read_launches();  // of launch_module, by the module's variable

// counts [64] raised by atomic operations of all kinds on one word each, 256 threads in 2 blocks.
void launch_atomics(unsigned* counts);

// One warp reads in[lane * stride] and writes it to out[lane] by way of shared memory at
// [lane * shared_stride].
void launch_strided(const float* in, float* out, int stride, int shared_stride);

}  // namespace kvbench::ptx
