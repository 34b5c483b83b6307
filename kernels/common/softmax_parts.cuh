// A softmax over more tokens than a block has: blocks leave their logits and the maximum and sum of
// their part, and the kernel after them puts the parts together, in order.
#pragma once

#include "kernels/common/cuda_common.cuh"

namespace kvbench {

struct SoftmaxPart {
  float largest, total;  // total: sum of exp(logit - largest)
};

// What the logits [n_rows, n_logits] and parts [n_rows, n_parts] take in a workspace.
struct SoftmaxMemory {
  float* logits;
  SoftmaxPart* parts;
  int n_logits, n_parts;

  __host__ __device__ float* row(int r) const { return logits + int64_t{r} * n_logits; }
  __host__ __device__ SoftmaxPart* parts_of(int r) const { return parts + int64_t{r} * n_parts; }
};

inline size_t softmax_bytes(int64_t n_rows, int64_t n_logits, int64_t part) {
  return n_rows * (n_logits * sizeof(float) + (n_logits + part - 1) / part * sizeof(SoftmaxPart));
}

inline SoftmaxMemory softmax_memory(void* workspace, int64_t n_rows, int64_t n_logits,
                                    int64_t part) {
  const int64_t n_parts = (n_logits + part - 1) / part;
  auto* parts = static_cast<SoftmaxPart*>(workspace);
  return {reinterpret_cast<float*>(parts + n_rows * n_parts), parts, static_cast<int>(n_logits),
          static_cast<int>(n_parts)};
}

// One whole warp: writes a part's logits (shared memory) to `to`, and what it comes to.
__device__ inline void store_part(const float* logits, int count, float* to, SoftmaxPart* part) {
  const int lane = threadIdx.x % kWarp;
  float largest = -INFINITY, total = 0;
  for (int j = lane; j < count; j += kWarp) largest = fmaxf(largest, logits[j]);
  largest = warp_max(largest);
  for (int j = lane; j < count; j += kWarp) {
    to[j] = logits[j];
    total += expf(logits[j] - largest);
  }
  total = warp_sum(total);
  if (lane == 0) *part = {largest, total};
}

// One whole warp: the parts of a row as one, in every lane.
__device__ inline SoftmaxPart combine_parts(const SoftmaxPart* parts, int n_parts) {
  const int lane = threadIdx.x % kWarp;
  float largest = -INFINITY, total = 0;
  for (int p = lane; p < n_parts; p += kWarp) largest = fmaxf(largest, parts[p].largest);
  largest = warp_max(largest);
  for (int p = lane; p < n_parts; p += kWarp) {
    total += parts[p].total * expf(parts[p].largest - largest);
  }
  return {largest, warp_sum(total)};
}

// The block: rows[i] (shared memory) := the parts of row first + i as one, i < n. Ends in a
// barrier.
__device__ inline void combine_rows_of_parts(const SoftmaxMemory& memory, int first, int n,
                                             SoftmaxPart* rows) {
  for (int i = threadIdx.x / kWarp; i < n; i += blockDim.x / kWarp) {
    const SoftmaxPart row = combine_parts(memory.parts_of(first + i), memory.n_parts);
    if (threadIdx.x % kWarp == 0) rows[i] = row;
  }
  __syncthreads();
}

__device__ inline float softmax_weight(float logit, const SoftmaxPart& row) {
  return expf(logit - row.largest) / row.total;
}

}  // namespace kvbench
