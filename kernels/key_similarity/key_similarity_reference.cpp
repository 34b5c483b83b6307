#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/key_similarity/key_similarity.h"

namespace kvbench {

void key_similarity_reference(const KeySimilarity& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const int64_t n = op.n_rows, d = op.head_dim;
    for (int64_t h = 0; h < op.n_heads; ++h) {
      std::vector<std::vector<double>> units(n, std::vector<double>(d));
      for (int64_t t = 0; t < n; ++t) {
        double squares = 0;
        for (int64_t c = 0; c < d; ++c) {
          units[t][c] = E::load(row_of<E>(op.keys, h, t) + c);
          squares += units[t][c] * units[t][c];
        }
        for (auto& x : units[t]) x /= std::sqrt(squares) + op.kNormShift;
      }
      std::vector<double> weights(n);
      for (int64_t i = 0; i < n; ++i) {
        std::vector<double> row(n);
        int64_t last = -1;
        for (int64_t j = 0; j < n; ++j) {
          for (int64_t c = 0; c < d && j != i; ++c) row[j] += units[i][c] * units[j][c];
          if (row[j] > op.kAlike) last = j;
        }
        if (last >= 0) row[last] = 0;
        for (int64_t j = 0; j < n; ++j) weights[j] += row[j] / static_cast<double>(n);
      }
      double total = 0;
      for (auto& w : weights) total += w = std::exp(w);
      for (int64_t j = 0; j < n; ++j) {
        op.out[h * n + j] = static_cast<float>(weights[j] / total);
      }
    }
  });
}

}  // namespace kvbench
