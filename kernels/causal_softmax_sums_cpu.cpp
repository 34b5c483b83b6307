#include <algorithm>
#include <bit>
#include <limits>
#include <vector>

#include "kernels/causal_softmax_sums.h"

namespace kvbench {
namespace {

// Weights below exp of this count for nothing in float32, and denormal ones are slow.
constexpr float kLowestExponent = -64;

// exp(x) for kLowestExponent <= x <= 0, relative error below 3e-7: exp2 by splitting off the
// integer part and a degree-6 polynomial (Cephes expf coefficients). Unlike libm's it is vectorised
// in loops.
inline float exp_nonpositive(float x) {
  const float scaled = x * 1.44269504088896341F;
  // Truncation of (scaled - 0.5) rounds to the nearest integer for non-positive arguments.
  const auto n = static_cast<int32_t>(scaled - 0.5F);
  const auto whole = static_cast<float>(n);
  const float r = (x - whole * 0.693359375F) + whole * 2.12194440e-4F;
  float p = r * 1.9875691500e-4F + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  return p * std::bit_cast<float>((n + 127) << 23);
}

// sums[j] += softmax(logits)[j], j < count. `weights` [count] stays in the first-level cache.
void add_softmax(const float* logits, int64_t count, float* weights, float* sums) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t j = 0; j < count; ++j) {
    largest = logits[j] > largest ? logits[j] : largest;
  }
  // A loop of its own: GCC does not vectorise the exponential behind a clamp.
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) {
    const float x = logits[j] - largest;
    weights[j] = x < kLowestExponent ? kLowestExponent : x;
  }
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t j = 0; j < count; ++j) {
    weights[j] = exp_nonpositive(weights[j]);
    total += weights[j];
  }
  const float scale = 1 / total;
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) sums[j] += weights[j] * scale;
}

}  // namespace

void causal_softmax_sums_cpu(const CausalSoftmaxSums& op) {
  constexpr int64_t kSerialLogits = 1 << 17;  // threads cost more than so few are worth
#pragma omp parallel if (op.n_heads * op.n_queries * op.n_keys > kSerialLogits)
  {
    std::vector<float> weights(op.n_keys);
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
