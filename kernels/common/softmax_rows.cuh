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

template <class Tile>
class SoftmaxRows {
 public:
  __device__ SoftmaxRows() {
    // Not infinite, which the difference of a masked logit with it would not bear.
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) largest_[r] = -FLT_MAX, total_[r] = 0;
  }

  // Scales the tile's logits, and masks those that sees(r, k) denies.
  template <class Sees>
  __device__ void add(Tile& tile, float scale, Sees sees) {
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const float before = largest_[r];
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) {
        float& logit = tile.logits[r][k];
        logit = sees(r, k) ? logit * scale : -INFINITY;
        largest_[r] = fmaxf(largest_[r], logit);
      }
      total_[r] *= exp2f(before - largest_[r]);
#pragma unroll
      for (int k = 0; k < Tile::kKeys; ++k) total_[r] += exp2f(tile.logits[r][k] - largest_[r]);
    }
  }

  // Of all threads that have keys of the row.
  __device__ float2 of_row(int r) const {
    float2 stat = {largest_[r], total_[r]};
#pragma unroll
    for (int distance = Tile::kLanesOfRow / 2; distance > 0; distance /= 2) {
      stat = merged(stat, {__shfl_xor_sync(kWholeWarp, stat.x, distance),
                           __shfl_xor_sync(kWholeWarp, stat.y, distance)});
    }
    return stat;
  }

 private:
  float largest_[Tile::kRows], total_[Tile::kRows];
};

}  // namespace kvbench
