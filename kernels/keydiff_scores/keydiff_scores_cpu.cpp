// A head at a time: its keys are mostly still in the cache when they are read again.
#include "kernels/common/mean_direction_cpu.h"
#include "kernels/keydiff_scores/keydiff_scores.h"

namespace kvbench {
namespace {

template <class E>
void score_head(const KeydiffScores& op, int64_t h) {
  const int64_t n = op.n_rows, d = op.head_dim;
  float* out = op.out + h * n;  // the keys' norms first
  const std::vector<float> anchor = mean_direction<E>(
      op.keys, h, n, d, [](float norm) { return 1 / std::max(norm, 1e-12F); }, out);
  Vec squares = {};
  for_vectors<Float32>(anchor.data(), d, [&](int64_t, Vec x) { squares += x * x; });
  const float length = std::max(std::sqrt(horizontal_sum(squares)), 1e-8F);
#pragma omp parallel for schedule(static) if (n > kDirectionBlock)
  for (int64_t t = 0; t < n; t += kLanes) {
    Vec dots[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) {  // rows past the end repeat the last one
      prefetch(row_of<E>(op.keys, h, std::min(t + kLanes + r, n - 1)),
               d * static_cast<int64_t>(sizeof(typename E::Storage)));
      Vec dot = {};
      for_steps<E>(row_of<E>(op.keys, h, std::min(t + r, n - 1)), d,
                   [&](int64_t c, Vec x) { dot += x * Float32::load_lanes(anchor.data() + c); });
      dots[r] = dot;
    }
    const Vec norms = load_first<Float32>(out + t, n - t);
    const Vec divisors = (norms > 1e-8F ? norms : Vec{} + 1e-8F) * length;
    store_first<Float32>(-sums_of(dots) / divisors, out + t, n - t);
  }
}

}  // namespace

void keydiff_scores_cpu(const KeydiffScores& op) {
  with_element(op.dtype, [&](auto element) {
    for (int64_t h = 0; h < op.n_heads; ++h) score_head<decltype(element)>(op, h);
  });
}

}  // namespace kvbench
