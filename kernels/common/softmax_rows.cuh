// The softmax's largest logit and sum of weights of each row of a tile, as keys come by.
#pragma once

#include <cfloat>

#include "kernels/common/cuda_common.cuh"

namespace kvbench {

// The largest logit and the sum of weights relative to it: two parts of one softmax as one. Logits
// are those of powers of two.
__device__ inline float2 merged(float2 a, float2 b) {
  const float largest = fmaxf(a.x, b.x);
  return {largest, a.y * exp2f(a.x - largest) + b.y * exp2f(b.x - largest)};
}

// Those of kLanes neighbouring threads, in each of them.
template <int kLanes>
__device__ float2 merged_over_lanes(float2 stat) {
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    stat = merged(stat, {__shfl_xor_sync(kWholeWarp, stat.x, distance),
                         __shfl_xor_sync(kWholeWarp, stat.y, distance)});
  }
  return stat;
}

// What is subtracted from a row's logits so that powers of two of them are weights.
__device__ inline float normalizer(float2 stat) { return stat.x + log2f(stat.y); }

template <class Tile>
class SoftmaxRows {
 public:
  __device__ SoftmaxRows() {
    // Not infinite, which the difference of a masked logit with it would not bear.
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) largest_[r] = -FLT_MAX, total_[r] = 0;
  }

  // The tile's logits times scale > 0.
  __device__ void add(const Tile& tile, float scale) {
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      float largest = tile.logits[r][0];
#pragma unroll
      for (int k = 1; k < Tile::kKeys; ++k) largest = fmaxf(largest, tile.logits[r][k]);
      largest = fmaxf(largest_[r], largest * scale);
      total_[r] *= power_of_two(largest_[r] - largest);
      largest_[r] = largest;
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        total_[r] += power_of_two(fmaf(tile.logits[r][k], scale, -largest));
      }
    }
  }

  // Of all threads that have keys of the row.
  __device__ float2 of_row(int r) const {
    return merged_over_lanes<Tile::kLanesOfRow>({largest_[r], total_[r]});
  }

 private:
  float largest_[Tile::kRows], total_[Tile::kRows];
};

}  // namespace kvbench
