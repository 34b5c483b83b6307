#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/causal_attention/causal_attention.h"
#include "kernels/common/element.h"

namespace kvbench {
namespace {

template <class E>
void reference(const CausalAttention& op) {
  const int64_t T = op.n_tokens, d = op.head_dim, group = op.n_heads / op.n_kv_heads;
  const auto* query = static_cast<const typename E::Storage*>(op.query);
  const auto* keys = static_cast<const typename E::Storage*>(op.keys);
  const auto* values = static_cast<const typename E::Storage*>(op.values);
  auto* out = static_cast<typename E::Storage*>(op.out);
  std::vector<double> weights(T), sum(d);
  for (int64_t q = 0; q < op.n_heads; ++q) {
    const int64_t first_row = q / group * T;
    for (int64_t i = 0; i < T; ++i) {
      const auto* row = query + q * op.query_head_stride + i * op.query_token_stride;
      const int64_t first = op.window > 0 ? std::max<int64_t>(0, i + 1 - op.window) : 0;
      double largest = -HUGE_VAL, total = 0;
      for (int64_t j = first; j <= i; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < d; ++c) {
          dot += static_cast<double>(E::load(row + c)) *
                 static_cast<double>(E::load(keys + (first_row + j) * d + c));
        }
        weights[j] = dot * static_cast<double>(op.scale);
        largest = std::max(largest, weights[j]);
      }
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t j = first; j <= i; ++j) {
        const double weight = std::exp(weights[j] - largest);
        total += weight;
        for (int64_t c = 0; c < d; ++c) {
          sum[c] += weight * static_cast<double>(E::load(values + (first_row + j) * d + c));
        }
      }
      for (int64_t c = 0; c < d; ++c) {
        out[(i * op.n_heads + q) * d + c] = E::from(static_cast<float>(sum[c] / total));
      }
    }
  }
}

}  // namespace

void causal_attention_reference(const CausalAttention& op) {
  with_element(op.dtype, [&](auto element) { reference<decltype(element)>(op); });
}

}  // namespace kvbench
