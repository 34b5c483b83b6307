#include <algorithm>
#include <cmath>

#include "kernels/argmax/argmax.h"
#include "kernels/common/element.h"
#include "kernels/common/team.h"

namespace kvbench {
namespace {

// The highest of n values, or NaN where one is.
float highest(const float* x, int64_t n) {
  constexpr int64_t kVectors = 4;  // or each comparison waits for the one before
  constexpr int64_t kStep = kVectors * kLanes;
  Vec best[kVectors];
  Bits32 nan[kVectors] = {};
  std::fill_n(best, kVectors, Vec{} - INFINITY);
  int64_t i = 0;
  for (; i + kStep <= n; i += kStep) {
    for (int64_t k = 0; k < kVectors; ++k) {
      const Vec v = Float32::load_lanes(x + i + k * kLanes);
      best[k] = v > best[k] ? v : best[k];
      nan[k] |= reinterpret_cast<Bits32>(v != v);
    }
  }
  float most = -INFINITY;
  bool is_nan = false;
  for (; i < n; ++i) {
    most = std::max(most, x[i]);
    is_nan |= std::isnan(x[i]);
  }
  for (int64_t k = 0; k < kVectors; ++k) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      most = std::max(most, best[k][lane]);
      is_nan |= nan[k][lane] != 0;
    }
  }
  return is_nan ? NAN : most;
}

}  // namespace

// Twice over a row, the second time no further than its highest value: numbers alone are compared
// several times faster than numbers with their places.
void argmax_cpu(const Argmax& op) {
  on_team(op.n_rows > 1, [op] {
#pragma omp for schedule(static)
    for (int64_t r = 0; r < op.n_rows; ++r) {
      const float *begin = op.logits + r * op.n_columns, *end = begin + op.n_columns;
      const float most = highest(begin, op.n_columns);
      op.ids[r] = std::isnan(most) ? -1 : std::find(begin, end, most) - begin;
    }
  });
}

}  // namespace kvbench
