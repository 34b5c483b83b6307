#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/expected_attention_scores/expected_attention_scores.h"

namespace kvbench {

void expected_attention_scores_reference(const ExpectedAttentionScores& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads;
    const int64_t n_ranked = op.n_rows - op.n_sink;
    for (int64_t h = 0; h < op.n_heads; ++h) {
      std::vector<double> ranked(n_ranked);
      for (int64_t q = h * group; q < (h + 1) * group; ++q) {
        std::vector<double> weights;
        for (int64_t t = op.first(); t < op.n_rows; ++t) {
          const auto* key = row_of<E>(op.keys, h, t);
          double z = 0;
          for (int64_t i = 0; i < d; ++i) {
            double y = op.linear[q * d + i];
            for (int64_t j = 0; j < d && op.quadratic != nullptr; ++j) {
              y += double{op.quadratic[(q * d + i) * d + j]} * E::load(key + j);
            }
            z += y * E::load(key + i);
          }
          weights.push_back(z);
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double total = 0;
        for (auto& w : weights) total += w = std::exp(w - largest);
        const auto* behind_sinks = weights.data() + op.n_sink - op.first();
        for (int64_t t = 0; t < n_ranked; ++t) {
          ranked[t] += behind_sinks[t] / total / static_cast<double>(group);
        }
      }
      for (int64_t t = 0; t < n_ranked; ++t) {
        const auto* value = row_of<E>(op.values, h, op.n_sink + t);
        double squares = 0;
        for (int64_t c = 0; c < d; ++c) squares += double{E::load(value + c)} * E::load(value + c);
        const double score = op.use_vnorm ? (ranked[t] + op.eps) * std::sqrt(squares) : ranked[t];
        op.out[h * n_ranked + t] = static_cast<float>(score);
      }
    }
  });
}

}  // namespace kvbench
