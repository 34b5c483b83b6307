#include <cmath>
#include <vector>

#include "kernels/common/rows_cpu.h"
#include "kernels/oracle_step/oracle_step.h"

namespace kvbench {

void oracle_step_reference(const OracleStep& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads;
    for (int64_t q = 0; q < op.n_query_heads; ++q) {
      const auto* query = static_cast<const typename E::Storage*>(op.query) + q * d;
      std::vector<double> weights(op.n_keys);
      for (int64_t t = 0; t < op.n_keys; ++t) {
        const auto* key = row_of<E>(op.keys, q / group, t);
        for (int64_t c = 0; c < d; ++c) {
          weights[t] += double{E::load(query + c)} * op.scale * E::load(key + c);
        }
      }
      const double largest = *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (auto& w : weights) total += w = std::exp(w - largest);
      for (int64_t t = 0; t < op.n_tokens; ++t) {
        float& importance = op.importance[q / group * op.n_tokens + t];
        const double worth = weights[t] / total * op.norms[q * op.n_tokens + t];
        importance = std::max(importance, static_cast<float>(worth));
      }
    }
  });
}

}  // namespace kvbench
