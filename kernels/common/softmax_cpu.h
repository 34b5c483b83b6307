// Softmax of long rows, for CPU kernels.
#pragma once

#include <limits>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"

namespace kvbench {

// What stands behind a row's end, up to whole vectors: it weighs nothing.
inline constexpr float kNoLogit = -std::numeric_limits<float>::infinity();

// x [width], whole vectors of it, := softmax(x).
inline void softmax_row(float* x, int64_t width) {
  Vec largest = Vec{} + kNoLogit;
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vec v = Float32::load_lanes(x + j);
    largest = v > largest ? v : largest;
  }
  const float top = horizontal_max(largest);
  Vec total = {};
  for (int64_t j = 0; j < width; j += kLanes) {
    const Vec weight = exp_nonpositive(Float32::load_lanes(x + j) - top);
    Float32::store_lanes(weight, x + j);
    total += weight;
  }
  const float scale = 1 / horizontal_sum(total);
  for (int64_t j = 0; j < width; j += kLanes) {
    Float32::store_lanes(Float32::load_lanes(x + j) * scale, x + j);
  }
}

}  // namespace kvbench
