#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cache_attention/cache_attention.h"
#include "kernels/common/element.h"

namespace kvbench {
namespace {

template <class E>
void attention(const CacheAttention& op) {
  using Storage = typename E::Storage;
  const auto [S, m, Hq, H, d] = op.shape();
  for (int64_t s = 0; s < S; ++s) {
    for (int64_t q = 0; q < Hq; ++q) {
      const int64_t h = q / (Hq / H);
      const int64_t start = op.cache.starts[s * H + h], length = op.cache.lengths[s * H + h];
      const auto* keys = static_cast<const Storage*>(op.cache.keys) + start * d;
      const auto* values = static_cast<const Storage*>(op.cache.values) + start * d;
      for (int64_t i = 0; i < m; ++i) {
        const int64_t row = ((s * m + i) * Hq + q) * d;
        const auto* query = static_cast<const Storage*>(op.query) + row;
        const int64_t seen = length - m + 1 + i;
        const int64_t first = op.window > 0 ? std::max<int64_t>(0, seen - op.window) : 0;
        std::vector<double> weight(seen);
        double largest = -std::numeric_limits<double>::infinity(), total = 0;
        for (int64_t j = first; j < seen; ++j) {
          double dot = 0;
          for (int64_t c = 0; c < d; ++c) {
            dot += double{E::load(query + c)} * double{E::load(keys + j * d + c)};
          }
          weight[j] = dot * op.scale;
          largest = std::max(largest, weight[j]);
        }
        for (int64_t j = first; j < seen; ++j) total += weight[j] = std::exp(weight[j] - largest);
        auto* out = static_cast<Storage*>(op.out) + row;
        for (int64_t c = 0; c < d; ++c) {
          double sum = 0;
          for (int64_t j = 0; j < seen; ++j) sum += weight[j] * double{E::load(values + j * d + c)};
          out[c] = E::from(static_cast<float>(sum / total));
        }
      }
    }
  }
}

}  // namespace

void cache_attention_reference(const CacheAttention& op) {
  with_element(op.cache.dtype, [&](auto element) { attention<decltype(element)>(op); });
}

}  // namespace kvbench
