// Selection by a block: the lowest of the `wanted` highest scores of a row, 8 bits a pass.
#pragma once

#include "kernels/common/cuda_common.cuh"

namespace kvbench {

// Unsigned integers above 0 in the order of the floats; -0.0 is 0.0.
__device__ inline uint32_t order_of(float score) {
  const uint32_t bits = __float_as_uint(score == 0 ? 0.0F : score);
  return max((bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U, 1U);
}

// Of the scores from a multiple of four on, 0 outside begin ... end - 1.
__device__ inline Pack<uint32_t> load_orders(const float* scores, int first, int begin, int end) {
  Pack<float> pack = {};
  if (reinterpret_cast<uintptr_t>(scores) % 16 == 0 && first + 4 <= end) {
    pack = load_pack(scores + first);
  } else {
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      if (first + k < end) pack.at[k] = scores[first + k];
    }
  }
  Pack<uint32_t> orders;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const bool is_inside = begin <= first + k && first + k < end;
    orders.at[k] = is_inside ? order_of(pack.at[k]) : 0;
  }
  return orders;
}

// What a block of kThreads threads shares.
template <int kThreads>
struct RadixSelect {
  static constexpr int kBins = 256, kBits = 8, kWarps = kThreads / kWarp;
  static_assert(kThreads >= kBins && kWarps <= kWarp);

  int histogram[kBins];
  int of_warps[kWarps];
  uint32_t prefix;
  int left;

  // Sum of one value a lane, and of those of the lanes before.
  __device__ static int inclusive_sum_of_warp(int value) {
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int before = __shfl_up_sync(kWholeWarp, value, distance);
      if (static_cast<int>(threadIdx.x) % kWarp >= distance) value += before;
    }
    return value;
  }

  // Sum of the values of the threads before, one a thread. All threads call it, and a barrier
  // stands between two calls.
  __device__ int exclusive_sum(int value, int& total) {
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int sum = inclusive_sum_of_warp(value);
    if (lane == kWarp - 1) of_warps[warp] = sum;
    __syncthreads();
    const int of_warp = lane < kWarps ? of_warps[lane] : 0;  // every warp sums up the warps
    const int of_warps_to_lane = inclusive_sum_of_warp(of_warp);
    total = __shfl_sync(kWholeWarp, of_warps_to_lane, kWarp - 1);
    return __shfl_sync(kWholeWarp, of_warps_to_lane - of_warp, warp) + sum - value;
  }

  // Of the histogram's entries, taken from the highest bin on, the n_left-th: `prefix` then has its
  // bin at `shift`, and `left` says the how manieth of that bin it is. All threads call it, after a
  // barrier, and find both set.
  __device__ void choose_bin(int shift, uint32_t prefix_above, int n_left) {
    const int bin = kBins - 1 - static_cast<int>(threadIdx.x);
    const int of_bin = bin >= 0 ? histogram[bin] : 0;
    int total;
    const int above = exclusive_sum(of_bin, total);
    if (bin >= 0 && above < n_left && n_left <= above + of_bin) {
      prefix = prefix_above | static_cast<uint32_t>(bin) << shift;
      left = n_left - above;
    }
    __syncthreads();
  }

  __device__ void clear_histogram() {
    for (int b = threadIdx.x; b < kBins; b += kThreads) histogram[b] = 0;
    __syncthreads();
  }

  // Counts an entry of the bin where `counts`. All lanes of a warp call it: scores have few
  // exponents, so that many lanes share a bin, which would have them wait for each other.
  __device__ void count(uint32_t bin, bool counts) {
    const unsigned counting = __ballot_sync(kWholeWarp, counts);
    if (counting == 0) return;
    const int lane = threadIdx.x % kWarp, leader = __ffs(static_cast<int>(counting)) - 1;
    const uint32_t shared_bin = __shfl_sync(kWholeWarp, bin, leader);
    const unsigned sharing = __ballot_sync(kWholeWarp, counts && bin == shared_bin);
    if (lane == leader) {
      atomicAdd(&histogram[bin], __popc(sharing));
    } else if (counts && bin != shared_bin) {
      atomicAdd(&histogram[bin], 1);
    }
  }

  // Calls f with the orders of scores begin ... end - 1; all lanes of a warp call it together,
  // those that have none left with 0.
  template <class F>
  __device__ static void for_each_order(const float* scores, int begin, int end, F f) {
    for (int round = begin / 4 * 4; round < end; round += 4 * kThreads) {
      const auto orders =
          load_orders(scores, round + 4 * static_cast<int>(threadIdx.x), begin, end);
#pragma unroll
      for (int k = 0; k < 4; ++k) f(orders.at[k]);
    }
  }

  // Of scores begin ... end - 1 the wanted-th highest, 1 <= wanted <= end - begin: `prefix` is its
  // order_of(), and `left` of those that equal it are among the wanted.
  __device__ void find(const float* scores, int begin, int end, int wanted) {
    uint32_t found = 0, mask = 0;
    int n_left = wanted;
    for (int shift = 32 - kBits; shift >= 0; shift -= kBits) {
      clear_histogram();
      for_each_order(scores, begin, end, [&](uint32_t order) {
        count(order >> shift & (kBins - 1), order > 0 && (order & mask) == found);
      });
      __syncthreads();
      choose_bin(shift, found, n_left);
      found = prefix;
      n_left = left;
      mask |= uint32_t{kBins - 1} << shift;
    }
  }
};

}  // namespace kvbench
