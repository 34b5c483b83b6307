#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_pipeline.h>

#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include "kernels/ptx/programs.h"

namespace kvbench::ptx {
namespace {

constexpr unsigned kWhole = 0xffffffffU;
constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    cub_kernel(const int* counts, const float* keys, int* sums, float* sorted, int* places,
               float* total) {
  using Scan = cub::BlockScan<int, kThreads>;
  using Sort = cub::BlockRadixSort<float, kThreads, 2, int>;
  using Reduce = cub::BlockReduce<float, kThreads>;
  __shared__ union {
    typename Scan::TempStorage scan;
    typename Sort::TempStorage sort;
    typename Reduce::TempStorage reduce;
  } storage;
  const int thread = threadIdx.x;
  int sum;
  Scan(storage.scan).ExclusiveSum(counts[thread], sum);
  sums[thread] = sum;
  float mine[2] = {keys[2 * thread], keys[2 * thread + 1]};
  int place[2] = {2 * thread, 2 * thread + 1};
  __syncthreads();
  Sort(storage.sort).SortDescending(mine, place);
  for (int i = 0; i < 2; ++i) {
    sorted[2 * thread + i] = mine[i];
    places[2 * thread + i] = place[i];
  }
  __syncthreads();
  const float all = Reduce(storage.reduce).Sum(mine[0] + mine[1]);
  if (thread == 0) *total = all;
}

__device__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

template <int kType>
__global__ void mma_kernel(const uint16_t* a, const uint16_t* b, const float* c, float* d) {
  __shared__ alignas(16) uint16_t shared_a[16 * 16], shared_b[16 * 8];
  const int lane = threadIdx.x, row = lane / 4, column = lane % 4 * 2;
  __pipeline_memcpy_async(shared_a + lane * 8, a + lane * 8, 16);
  if (lane < 16) __pipeline_memcpy_async(shared_b + lane * 8, b + lane * 8, 16);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
  unsigned ra[4], rb[2];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(ra[0]), "=r"(ra[1]), "=r"(ra[2]), "=r"(ra[3])
               : "r"(shared_address(shared_a + lane % 16 * 16 + lane / 16 * 8)));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(rb[0]), "=r"(rb[1])
               : "r"(shared_address(shared_b + lane % 16 * 8)));
  float rd[4];
  for (int i = 0; i < 4; ++i) rd[i] = c[(row + i / 2 * 8) * 8 + column + i % 2];
  if constexpr (kType == 2) {
    __half2 half[2] = {__floats2half2_rn(rd[0], rd[1]), __floats2half2_rn(rd[2], rd[3])};
    auto* bits = reinterpret_cast<unsigned*>(half);
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0, %1}, {%2, %3, %4, %5}, {%6, %7}, "
        "{%0, %1};"
        : "+r"(bits[0]), "+r"(bits[1])
        : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]));
    for (int i = 0; i < 2; ++i) {
      rd[2 * i] = __low2float(half[i]);
      rd[2 * i + 1] = __high2float(half[i]);
    }
  } else {
#define MMA(TYPE)                                                                     \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." TYPE "." TYPE                 \
               ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
               : "+f"(rd[0]), "+f"(rd[1]), "+f"(rd[2]), "+f"(rd[3])                   \
               : "r"(ra[0]), "r"(ra[1]), "r"(ra[2]), "r"(ra[3]), "r"(rb[0]), "r"(rb[1]))
    if constexpr (kType == 0) {
      MMA("bf16");
    } else {
      MMA("f16");
    }
#undef MMA
  }
  for (int i = 0; i < 4; ++i) d[(row + i / 2 * 8) * 8 + column + i % 2] = rd[i];
}

__global__ void warp_kernel(const int* values, int* out) {
  const int lane = threadIdx.x, v = values[lane];
  int at = 0;
  const auto put = [&](int x) { out[at++ * 32 + lane] = x; };
  put(__shfl_sync(kWhole, v, 5));
  put(__shfl_sync(kWhole, v, lane + 3));
  put(__shfl_up_sync(kWhole, v, 3));
  put(__shfl_down_sync(kWhole, v, 7));
  put(__shfl_xor_sync(kWhole, v, 9));
  put(__shfl_up_sync(kWhole, v, 2, 8));
  put(__shfl_down_sync(kWhole, v, 2, 8));
  put(__shfl_xor_sync(kWhole, v, 4, 8));
  put(__shfl_sync(kWhole, v, 1, 8));
  put(static_cast<int>(__ballot_sync(kWhole, v > 0)));
  put(__any_sync(kWhole, v == values[3]));
  put(__all_sync(kWhole, v == values[3]));
  put(static_cast<int>(__match_any_sync(kWhole, v % 4)));
  int all_alike;
  put(static_cast<int>(__match_all_sync(kWhole, lane < 40, &all_alike)) + all_alike);
  put(__reduce_add_sync(kWhole, v));
  put(__reduce_max_sync(kWhole, v));
  put(static_cast<int>(__reduce_min_sync(kWhole, static_cast<unsigned>(v))));
  put(static_cast<int>(__reduce_xor_sync(kWhole, static_cast<unsigned>(v))));
  // Lanes apart, each half with a mask of its own, then together again.
  int halves = 0;
  if (lane < 16) {
    for (int i = 0; i <= lane % 4; ++i) halves += v;
    halves += __shfl_xor_sync(0xffff, halves, 1);
  } else {
    halves = __reduce_add_sync(0xffff0000, v);
  }
  put(halves);
  put(__syncthreads_count(v > 0) * 4 + __syncthreads_and(v == v) * 2 + __syncthreads_or(v != v));
}

__constant__ float weights[4] = {0.5F, 1, 2, 4};
__device__ int n_launches = 0;

__device__ __noinline__ float weighted(const float* values, int n, float* most) {
  float sum = 0, top = values[0];
  for (int i = 0; i < n; ++i) {
    sum += values[i] * weights[i % 4];
    top = fmaxf(top, values[i]);
  }
  *most = top;
  return sum;
}

__global__ void module_kernel(const float* in, float* out, int n) {
  __shared__ float pair[64];
  float values[16], most;
  for (int i = 0; i < n; ++i) values[(i * 5) % 16] = in[threadIdx.x + i];
  const float sum = weighted(values, n, &most);
  pair[threadIdx.x] = sum + weighted(values, n / 2, &most) + most;
  asm volatile("bar.sync %0, 64;" ::"r"(3) : "memory");
  out[threadIdx.x] = pair[63 - threadIdx.x];
  if (threadIdx.x == 0) ++n_launches;
}

__global__ void atomics_kernel(unsigned* counts) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicAdd(counts, i);
  atomicMax(counts + 1, i);
  atomicMin(counts + 2, i);
  atomicOr(counts + 3, 1U << i % 32);
  atomicAnd(counts + 4, ~(1U << i % 16));
  atomicXor(counts + 5, i);
  atomicInc(counts + 6, 99);
  atomicAdd(reinterpret_cast<float*>(counts + 7), 0.5F);
  unsigned seen = *static_cast<volatile unsigned*>(counts + 9);  // never written: a guess
  for (bool done = false; !done;) {                              // a sum by compare and swap
    const unsigned before = atomicCAS(counts + 8, seen, seen + i);
    done = before == seen;
    seen = before;
  }
  atomicAdd(reinterpret_cast<unsigned long long*>(counts + 10), 1ULL << 32 | 1);
}

__global__ void strided_kernel(const float* in, float* out, int stride, int shared_stride) {
  __shared__ float s[32 * 33];
  s[threadIdx.x * shared_stride] = in[threadIdx.x * stride] * 2 + 1;
  __syncthreads();
  out[threadIdx.x] = s[threadIdx.x * shared_stride];
}

}  // namespace

void launch_cub(const int* counts, const float* keys, int* sums, float* sorted, int* places,
                float* total) {
  cub_kernel<<<1, kThreads>>>(counts, keys, sums, sorted, places, total);
}

void launch_mma(int type, const uint16_t* a, const uint16_t* b, const float* c, float* d) {
  if (type == 0) mma_kernel<0><<<1, 32>>>(a, b, c, d);
  if (type == 1) mma_kernel<1><<<1, 32>>>(a, b, c, d);
  if (type == 2) mma_kernel<2><<<1, 32>>>(a, b, c, d);
}

void launch_warp(const int* values, int* out) { warp_kernel<<<1, 32>>>(values, out); }

void launch_module(const float* in, float* out, int n) { module_kernel<<<1, 64>>>(in, out, n); }

int read_launches() {
  int n = -1;
  cudaMemcpyFromSymbol(&n, n_launches, sizeof n);
  return n;
}

void launch_strided(const float* in, float* out, int stride, int shared_stride) {
  strided_kernel<<<1, 32>>>(in, out, stride, shared_stride);
}

void launch_atomics(unsigned* counts) { atomics_kernel<<<2, 128>>>(counts); }

}  // namespace kvbench::ptx
