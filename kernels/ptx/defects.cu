#include <cuda_pipeline.h>
#include <cuda_runtime.h>

#include <cassert>

#include "kernels/ptx/defects.h"

namespace kvbench::ptx {
namespace {

using Arguments = DefectArguments;
constexpr unsigned kWhole = 0xffffffffU;

// ---- memory
// --------------------------------------------------------------------------------------

template <bool kPlanted>
__global__ void read_behind_the_end(Arguments a) {
  a.out[threadIdx.x] = a.in[threadIdx.x + (kPlanted && threadIdx.x == 255 ? 1 : 0)];
}

template <bool kPlanted>
__global__ void write_before_the_begin(Arguments a) {
  a.out[static_cast<int>(threadIdx.x) - (kPlanted ? 1 : 0)] = 1;
}

template <bool kPlanted>
__global__ void read_of_freed_memory(Arguments a) {
  a.out[threadIdx.x] = (kPlanted ? a.freed : a.in)[threadIdx.x];
}

template <bool kPlanted>
__global__ void read_of_host_memory(Arguments a) {
  a.out[threadIdx.x] = (kPlanted ? a.host : a.in)[threadIdx.x];
}

template <bool kPlanted>
__global__ void misaligned_pack(Arguments a) {
  const float4 v = *reinterpret_cast<const float4*>(a.in + threadIdx.x * 4 + (kPlanted ? 1 : 0));
  a.out[threadIdx.x] = v.x + v.y + v.z + v.w;
}

template <bool kPlanted>
__global__ void uninitialised_global(Arguments a) {
  if (!kPlanted || threadIdx.x < 7) a.out[threadIdx.x] = 1;
  a.out[threadIdx.x] += 1;
}

template <bool kPlanted>
__global__ void uninitialised_shared(Arguments a) {
  __shared__ float s[128];
  if (threadIdx.x < (kPlanted ? 127 : 128)) s[threadIdx.x] = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = s[127 - threadIdx.x];
}

template <bool kPlanted>
__global__ void shared_behind_the_end(Arguments a) {
  extern __shared__ float dynamic[];
  dynamic[threadIdx.x + (kPlanted ? 1 : 0)] = a.in[threadIdx.x];
  a.out[threadIdx.x] = dynamic[threadIdx.x + (kPlanted ? 1 : 0)];
}

template <bool kPlanted>
__global__ void shared_array_into_the_next(Arguments a) {
  __shared__ float first[128], second[128];
  second[threadIdx.x] = a.in[threadIdx.x];
  first[threadIdx.x + (kPlanted ? a.counters[0] + 1 : a.counters[0])] = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = first[127 - threadIdx.x] + second[127 - threadIdx.x];
}

// A pointer to a thread's own variable is worth nothing in another thread.
template <bool kPlanted>
__global__ void local_of_another_thread(Arguments a) {
  __shared__ float* volatile theirs[32];
  float own[4] = {a.in[threadIdx.x], 1, 2, 3};
  theirs[threadIdx.x] = own;
  __syncthreads();
  a.out[threadIdx.x] = theirs[kPlanted ? threadIdx.x ^ 1 : threadIdx.x][a.counters[0]];
}

// ---- races
// ---------------------------------------------------------------------------------------

template <bool kPlanted>
__global__ void shared_without_barrier(Arguments a) {
  __shared__ float s[128];
  s[threadIdx.x] = a.in[threadIdx.x];
  if (!kPlanted) __syncthreads();
  a.out[threadIdx.x] = s[127 - threadIdx.x];
}

// The next round overwrites what slow threads still read.
template <bool kPlanted>
__global__ void shared_reused_without_barrier(Arguments a) {
  __shared__ float s[128];
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    s[threadIdx.x] = a.in[threadIdx.x] + round;
    __syncthreads();
    sum += s[127 - threadIdx.x];
    if (!kPlanted) __syncthreads();
  }
  a.out[threadIdx.x] = sum;
}

template <bool kPlanted>
__global__ void global_without_barrier(Arguments a) {
  a.out[threadIdx.x] = a.in[threadIdx.x];
  if (!kPlanted) __syncthreads();
  if (threadIdx.x < 64) a.out[threadIdx.x] += a.out[threadIdx.x + 64];
}

template <bool kPlanted>
__global__ void lanes_without_syncwarp(Arguments a) {
  __shared__ float s[32];
  s[threadIdx.x] = a.in[threadIdx.x];
  if (!kPlanted) __syncwarp();
  a.out[threadIdx.x] = s[31 - threadIdx.x];
}

// A barrier of half the warp orders nothing for the other half.
template <bool kPlanted>
__global__ void syncwarp_of_too_few(Arguments a) {
  __shared__ float s[32];
  s[threadIdx.x] = a.in[threadIdx.x];
  if (threadIdx.x < 16)
    __syncwarp(0xffff);
  else
    __syncwarp(0xffff0000);
  a.out[threadIdx.x] = s[kPlanted ? 31 - threadIdx.x : threadIdx.x ^ 15];
}

// Shuffles move values; they order no memory.
template <bool kPlanted>
__global__ void shuffle_is_no_barrier(Arguments a) {
  __shared__ float s[32];
  s[threadIdx.x] = a.in[threadIdx.x];
  const float x = __shfl_xor_sync(kWhole, a.in[threadIdx.x], 1);
  if (!kPlanted) __syncwarp();
  a.out[threadIdx.x] = s[31 - threadIdx.x] + x;
}

template <bool kPlanted>
__global__ void sum_over_blocks(Arguments a) {
  if (threadIdx.x != 0) return;
  if (kPlanted) {
    ++a.counters[0];
  } else {
    atomicAdd(a.counters, 1);
  }
}

template <bool kPlanted>
__global__ void read_of_another_block(Arguments a) {
  a.out[blockIdx.x * 32 + threadIdx.x] = a.in[threadIdx.x];
  const unsigned from = kPlanted ? blockIdx.x ^ 1 : blockIdx.x;
  const float x = a.out[from * 32 + threadIdx.x];
  if (x < -1) a.out[blockIdx.x * 32 + threadIdx.x] = x;
}

// A fence and a counter make no order between blocks that the engine believes in.
template <bool kPlanted>
__global__ void last_block_by_ticket(Arguments a) {
  a.out[blockIdx.x] = a.in[blockIdx.x];
  if (!kPlanted) return;
  __threadfence();
  if (atomicAdd(a.counters, 1) == static_cast<int>(gridDim.x) - 1) {
    float sum = 0;
    for (unsigned b = 0; b < gridDim.x; ++b) sum += a.out[b];
    a.out[128] = sum;
  }
}

template <bool kPlanted>
__global__ void plain_read_of_atomic(Arguments a) {
  atomicAdd(a.counters, 1);
  if (!kPlanted) __syncthreads();
  if (threadIdx.x == 0) a.out[0] = static_cast<float>(a.counters[0]);
}

template <bool kPlanted>
__global__ void non_coherent_read_of_written(Arguments a) {
  a.out[threadIdx.x] = 1;
  __syncthreads();
  const float* from = a.out + (threadIdx.x ^ 1);
  const float x = kPlanted ? __ldg(from) : *static_cast<const volatile float*>(from);
  __syncthreads();
  a.out[threadIdx.x] = x;
}

// ---- barriers
// ------------------------------------------------------------------------------------

template <bool kPlanted>
__global__ void barriers_of_two_branches(Arguments a) {
  if (kPlanted && threadIdx.x >= 32) {
    __syncthreads();
    a.out[threadIdx.x] = 1;
  } else {
    a.out[threadIdx.x] = 2;
    __syncthreads();
  }
}

template <bool kPlanted>
__global__ void barrier_behind_return(Arguments a) {
  if (kPlanted && threadIdx.x >= 100) return;
  __syncthreads();
  if (threadIdx.x < 100) a.out[threadIdx.x] = a.in[threadIdx.x];
}

template <bool kPlanted>
__global__ void barrier_of_some_lanes(Arguments a) {
  if (kPlanted && threadIdx.x % 32 < 16) {
    __shfl_xor_sync(kWhole, a.in[threadIdx.x], 1);
  }
  __syncthreads();
  a.out[threadIdx.x] = a.in[threadIdx.x];
}

__device__ void named_barrier(int id) { asm volatile("bar.sync %0, 64;" ::"r"(id) : "memory"); }

// Two pairs of warps, each with a barrier of its own.
template <bool kPlanted>
__global__ void named_barriers(Arguments a) {
  __shared__ float s[128];
  const unsigned pair = threadIdx.x / 64;
  s[threadIdx.x] = a.in[threadIdx.x];
  named_barrier(static_cast<int>(1 + pair));
  a.out[threadIdx.x] = s[kPlanted ? 127 - threadIdx.x : pair * 64 + 63 - threadIdx.x % 64];
}

// ---- warps
// ---------------------------------------------------------------------------------------

template <bool kPlanted>
__global__ void lane_outside_its_mask(Arguments a) {
  a.out[threadIdx.x] = __shfl_xor_sync(kPlanted ? 0x7fffffffU : kWhole, a.in[threadIdx.x], 1);
}

template <bool kPlanted>
__global__ void source_lane_outside(Arguments a) {
  if (threadIdx.x < 16) {
    a.out[threadIdx.x] = __shfl_xor_sync(0xffff, a.in[threadIdx.x], kPlanted ? 16 : 8);
  }
}

template <bool kPlanted>
__global__ void lanes_at_different_shuffles(Arguments a) {
  float x = a.in[threadIdx.x];
  if (threadIdx.x < 16) {
    x = __shfl_xor_sync(kPlanted ? kWhole : 0xffffU, x, 1) * 2;
    a.out[threadIdx.x] = x;
  } else {
    x = __shfl_xor_sync(kPlanted ? kWhole : 0xffff0000U, x, 2) + 1;
    a.out[threadIdx.x + 32] = x;
  }
}

// ---- cp.async
// ------------------------------------------------------------------------------------

template <bool kPlanted>
__global__ void copy_without_wait(Arguments a) {
  __shared__ alignas(16) float s[128];
  __pipeline_memcpy_async(s + threadIdx.x * 4, a.in + threadIdx.x * 4, 16);
  __pipeline_commit();
  if (!kPlanted) __pipeline_wait_prior(0);
  __syncthreads();
  a.out[threadIdx.x] = s[127 - threadIdx.x];
  __pipeline_wait_prior(0);
}

// Waiting serves the thread that waits; others need the barrier too.
template <bool kPlanted>
__global__ void copy_without_barrier(Arguments a) {
  __shared__ alignas(16) float s[128];
  __pipeline_memcpy_async(s + threadIdx.x * 4, a.in + threadIdx.x * 4, 16);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  if (!kPlanted) __syncthreads();
  a.out[threadIdx.x] = s[127 - threadIdx.x];
}

template <bool kPlanted>
__global__ void copy_never_awaited(Arguments a) {
  __shared__ alignas(16) float s[128];
  __pipeline_memcpy_async(s + threadIdx.x * 4, a.in + threadIdx.x * 4, 16);
  __pipeline_commit();
  if (!kPlanted) __pipeline_wait_prior(0);
  a.out[threadIdx.x] = 1;
}

// ---- modules
// -------------------------------------------------------------------------------------

__constant__ float weights[4] = {1, 2, 3, 4};
__device__ int module_counter = 5;
__device__ float scratch[4];

template <bool kPlanted>
__global__ void module_variables(Arguments a) {
  atomicAdd(&module_counter, 1);
  if (kPlanted) scratch[threadIdx.x % 4] = 1;
  a.out[blockIdx.x * 4 + threadIdx.x] = weights[threadIdx.x];
}

template <bool kPlanted>
__device__ __noinline__ float behind_a_call(float* s, float x) {
  s[threadIdx.x] = x;
  if (!kPlanted) __syncthreads();
  return s[127 - threadIdx.x] * 2;
}

template <bool kPlanted>
__global__ void call_of_a_function(Arguments a) {
  __shared__ float s[128];
  a.out[threadIdx.x] = behind_a_call<kPlanted>(s, a.in[threadIdx.x]);
}

template <bool kPlanted>
__global__ void failed_assertion(Arguments a) {
  assert(!kPlanted || a.in[threadIdx.x] < 127);
  a.out[threadIdx.x] = 1;
}

template <bool kPlanted>
__global__ void endless(Arguments a) {
  while (kPlanted && *static_cast<volatile int*>(a.counters) == 0) {
  }
  a.out[threadIdx.x] = 1;
}

extern __shared__ float dynamic_bytes[];
__global__ void uses_shared() { dynamic_bytes[threadIdx.x] = 1; }

}  // namespace

const std::vector<Defect>& defects() {
#define DEFECT(NAME, CHECK, ...) \
  { #NAME, CHECK, __VA_ARGS__, NAME < true>, NAME < false> }
  static const std::vector<Defect> all = {
      DEFECT(read_behind_the_end, "out of bounds", 1, 256, 0),
      DEFECT(write_before_the_begin, "out of bounds", 1, 256, 0),
      DEFECT(read_of_freed_memory, "use after free", 1, 256, 0),
      DEFECT(read_of_host_memory, "wild pointer", 1, 256, 0),
      DEFECT(misaligned_pack, "misaligned", 1, 32, 0),
      DEFECT(uninitialised_global, "uninitialised read", 1, 256, 0),
      DEFECT(uninitialised_shared, "uninitialised read", 1, 128, 0),
      DEFECT(shared_behind_the_end, "out of bounds", 1, 64, 256),
      DEFECT(shared_array_into_the_next, "out of bounds", 1, 128, 0),
      DEFECT(local_of_another_thread, "wild pointer", 1, 32, 0),
      DEFECT(shared_without_barrier, "race in a block", 1, 128, 0),
      DEFECT(shared_reused_without_barrier, "race in a block", 1, 128, 0),
      DEFECT(global_without_barrier, "race in a block", 1, 128, 0),
      DEFECT(lanes_without_syncwarp, "race in a block", 1, 32, 0),
      DEFECT(syncwarp_of_too_few, "race in a block", 1, 32, 0),
      DEFECT(shuffle_is_no_barrier, "race in a block", 1, 32, 0),
      DEFECT(sum_over_blocks, "race between blocks", 4, 32, 0),
      DEFECT(read_of_another_block, "race between blocks", 4, 32, 0),
      DEFECT(last_block_by_ticket, "race between blocks", 4, 1, 0),
      DEFECT(plain_read_of_atomic, "race in a block", 1, 64, 0),
      DEFECT(non_coherent_read_of_written, "write to memory that ld.global.nc reads", 1, 64, 0),
      DEFECT(barriers_of_two_branches, "different barriers met", 1, 64, 0),
      DEFECT(barrier_behind_return, "barrier behind threads that returned", 1, 128, 0),
      DEFECT(barrier_of_some_lanes, "deadlock", 1, 32, 0),
      DEFECT(named_barriers, "race in a block", 1, 128, 0),
      DEFECT(lane_outside_its_mask, "lane not in its mask", 1, 32, 0),
      DEFECT(source_lane_outside, "source lane absent", 1, 32, 0),
      DEFECT(lanes_at_different_shuffles, "deadlock", 1, 32, 0),
      DEFECT(copy_without_wait, "uninitialised read", 1, 32, 0),
      DEFECT(copy_without_barrier, "race in a block", 1, 32, 0),
      DEFECT(copy_never_awaited, "cp.async never waited for", 1, 32, 0),
      DEFECT(module_variables, "race between blocks", 2, 4, 0),
      DEFECT(call_of_a_function, "race in a block", 1, 128, 0),
      DEFECT(failed_assertion, "assertion failed", 1, 128, 0),
      DEFECT(endless, "no end", 1, 32, 0),
  };
  return all;
}

int launch_defect(const Defect& defect, bool planted, const DefectArguments& arguments) {
  const auto kernel = planted ? defect.planted : defect.right;
  kernel<<<defect.blocks, defect.threads, defect.shared_bytes>>>(arguments);
  return cudaGetLastError();
}

int launch_limits(unsigned blocks_y, unsigned threads, unsigned shared_bytes, bool allow) {
  if (allow) {
    const int status = cudaFuncSetAttribute(
        uses_shared, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
    if (status != cudaSuccess) return cudaGetLastError();
  }
  uses_shared<<<dim3(1, blocks_y), threads, shared_bytes>>>();
  return cudaGetLastError();
}

}  // namespace kvbench::ptx
