#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/causal_softmax_sums.h"
#include "kernels/vector_math.h"

namespace kvbench {
namespace {

// sums[j] += softmax(logits)[j], j < count. `weights` [count and up to a whole vector] stays in the
// first-level cache.
void add_softmax(const float* logits, int64_t count, float* weights, float* sums) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < count; ++j) {
    largest = logits[j] > largest ? logits[j] : largest;
  }
  // A loop of its own: bounds in the exponential's long chain cost more. A NaN is counted, as the
  // comparison sends it to the bound.
  int32_t n_nan = 0;
#pragma omp simd reduction(+ : n_nan)
  for (int64_t j = 0; j < count; ++j) {
    const float x = logits[j] - largest;
    weights[j] = x > kLowestExponent ? x : kLowestExponent;
    n_nan += x != x;
  }
  std::fill_n(weights + count, -count & (kLanes - 1), kLowestExponent);
  Vec total = {};
  for (int64_t j = 0; j < count; j += kLanes) {
    const Vec weight = exp_bounded(Float32::load_lanes(weights + j));
    std::memcpy(weights + j, &weight, sizeof weight);
    total += weight;
  }
  const float scale =
      n_nan > 0 ? std::numeric_limits<float>::quiet_NaN() : 1 / horizontal_sum(total);
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) sums[j] += weights[j] * scale;
}

}  // namespace

void causal_softmax_sums_cpu(const CausalSoftmaxSums& op) {
  constexpr int64_t kSerialLogits = 1 << 17;  // threads cost more than so few are worth
#pragma omp parallel if (op.n_heads * op.n_queries * op.n_keys > kSerialLogits)
  {
    std::vector<float> weights(op.n_keys + kLanes);
#pragma omp for
    for (int64_t h = 0; h < op.n_heads; ++h) {
      float* sums = op.out + h * op.n_keys;
      std::fill_n(sums, op.n_keys, 0.0F);
      for (int64_t i = 0; i < op.n_queries; ++i) {
        const float* logits = op.logits + (h * op.n_queries + i) * op.n_keys;
        add_softmax(logits, op.n_keys - op.n_queries + 1 + i, weights.data(), sums);
      }
    }
  }
}

}  // namespace kvbench
