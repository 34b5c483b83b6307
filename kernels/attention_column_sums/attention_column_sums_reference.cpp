#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/element.h"

namespace kvbench {
namespace {

template <class E>
void column_sums(const AttentionColumnSums& op) {
  using Storage = typename E::Storage;
  const int64_t group = op.n_heads / op.n_kv_heads, heads_of_row = op.of_heads ? 1 : group;
  std::vector<double> sums(op.n_heads / heads_of_row * op.n_columns);
  for (int64_t q = 0; q < op.n_heads; ++q) {
    const auto* keys = static_cast<const Storage*>(op.keys.data) + q / group * op.keys.head_stride;
    for (int64_t i = 0; i < op.n_queries; ++i) {
      const auto* query = static_cast<const Storage*>(op.queries.data) +
                          q * op.queries.head_stride + i * op.queries.row_stride;
      std::vector<double> weights(op.n_tokens - op.n_queries + i + 1);
      double largest = -std::numeric_limits<double>::infinity(), total = 0;
      for (int64_t t = 0; t < std::ssize(weights); ++t) {
        for (int64_t c = 0; c < op.head_dim; ++c) {
          weights[t] += double{E::load(query + c)} * E::load(keys + t * op.keys.row_stride + c);
        }
        weights[t] *= op.scale;
        largest = std::max(largest, weights[t]);
      }
      for (auto& weight : weights) total += weight = std::exp(weight - largest);
      for (int64_t t = 0; t < std::min(op.n_columns, std::ssize(weights)); ++t) {
        sums[q / heads_of_row * op.n_columns + t] +=
            op.factor * weights[t] / total / static_cast<double>(heads_of_row);
      }
    }
  }
  std::copy(sums.begin(), sums.end(), op.out);
}

}  // namespace

void attention_column_sums_reference(const AttentionColumnSums& op) {
  with_element(op.dtype, [&](auto element) { column_sums<decltype(element)>(op); });
}

}  // namespace kvbench
