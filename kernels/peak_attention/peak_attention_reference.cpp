#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/common/element.h"
#include "kernels/common/rows_cpu.h"
#include "kernels/peak_attention/peak_attention.h"

namespace kvbench {
namespace {

template <class E>
void peak_attention(const PeakAttention& op) {
  const int64_t group = op.n_heads / op.n_kv_heads;
  std::fill_n(op.out, op.n_kv_heads * op.n_keys, 0.0F);
  std::vector<double> weights;
  for (int64_t g = 0; g < op.n_heads; ++g) {
    const int64_t h = g / group;
    for (int64_t i = 0; i < op.n_queries; ++i) {
      weights.clear();
      const auto weigh = [&](const HeadRows& queries, const HeadRows& keys, int64_t n) {
        for (int64_t t = 0; t < n; ++t) {
          double logit = 0;
          for (int64_t c = 0; c < op.head_dim; ++c) {
            logit +=
                double{E::load(row_of<E>(queries, g, i) + c)} * E::load(row_of<E>(keys, h, t) + c);
          }
          weights.push_back(logit * op.scale);
        }
      };
      weigh(op.to_others, op.sinks, op.n_sinks);
      weigh(op.to_others, op.keys, op.n_keys);
      weigh(op.to_own, op.own, i + 1);
      const double largest = *std::max_element(weights.begin(), weights.end());
      double total = 0;
      for (double& x : weights) total += x = std::exp(x - largest);
      for (int64_t j = 0; j < op.n_keys; ++j) {
        double weight = weights[op.n_sinks + j] / total;
        if (op.query_weights != nullptr) weight *= op.query_weights[i];
        if (op.key_weights != nullptr) weight *= op.key_weights[g * op.n_keys + j];
        float& peak = op.out[h * op.n_keys + j];
        if (!(weight <= peak)) peak = static_cast<float>(weight);  // NaN comes out
      }
    }
  }
}

}  // namespace

void peak_attention_reference(const PeakAttention& op) {
  with_element(op.dtype, [&](auto element) { peak_attention<decltype(element)>(op); });
}

}  // namespace kvbench
