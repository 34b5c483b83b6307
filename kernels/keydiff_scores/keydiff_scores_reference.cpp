#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/keydiff_scores/keydiff_scores.h"

namespace kvbench {

void keydiff_scores_reference(const KeydiffScores& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const int64_t n = op.n_rows, d = op.head_dim;
    for (int64_t h = 0; h < op.n_heads; ++h) {
      const auto dot = [&](const auto& a, const auto& b) {
        double sum = 0;
        for (int64_t c = 0; c < d; ++c) sum += a[c] * b[c];
        return sum;
      };
      std::vector<std::vector<double>> keys(n, std::vector<double>(d));
      std::vector<double> anchor(d);
      for (int64_t t = 0; t < n; ++t) {
        for (int64_t c = 0; c < d; ++c) keys[t][c] = E::load(row_of<E>(op.keys, h, t) + c);
        const double norm = std::max(std::sqrt(dot(keys[t], keys[t])), 1e-12);
        for (int64_t c = 0; c < d; ++c) anchor[c] += keys[t][c] / norm / static_cast<double>(n);
      }
      const double length = std::max(std::sqrt(dot(anchor, anchor)), 1e-8);
      for (int64_t t = 0; t < n; ++t) {
        const double norm = std::max(std::sqrt(dot(keys[t], keys[t])), 1e-8);
        op.out[h * n + t] = static_cast<float>(-dot(keys[t], anchor) / (norm * length));
      }
    }
  });
}

}  // namespace kvbench
