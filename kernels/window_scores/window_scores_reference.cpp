#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/common/element.h"
#include "kernels/window_scores/window_scores.h"

namespace kvbench {
namespace {

using Rows = std::vector<std::vector<double>>;

template <class E>
Rows votes(const WindowScores& op) {
  using Storage = typename E::Storage;
  const int64_t W = op.window, T = op.n_tokens, d = op.head_dim;
  Rows result(op.n_heads, std::vector<double>(op.n_ranked()));
  for (int64_t q = 0; q < op.n_heads; ++q) {
    const auto* keys = static_cast<const Storage*>(op.keys.data) +
                       q / (op.n_heads / op.n_kv_heads) * op.keys.head_stride;
    for (int64_t i = 0; i < W; ++i) {
      const auto* query = static_cast<const Storage*>(op.queries) + (q * W + i) * d;
      std::vector<double> weights(op.n_ranked() + i + 1);
      double largest = -std::numeric_limits<double>::infinity(), total = 0;
      for (int64_t t = 0; t < std::ssize(weights); ++t) {
        for (int64_t c = 0; c < d; ++c) {
          weights[t] += double{E::load(query + c)} * E::load(keys + t * op.keys.row_stride + c);
        }
        weights[t] *= op.scale;
        largest = std::max(largest, weights[t]);
      }
      for (auto& weight : weights) total += weight = std::exp(weight - largest);
      for (int64_t t = 0; t < T - W; ++t) {
        result[q][t] += weights[t] / total / static_cast<double>(W);
      }
    }
  }
  return result;
}

Rows pooled(const WindowScores& op, const Rows& rows) {
  const int64_t half = op.kernel / 2, n = op.n_ranked();
  Rows result = rows;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (int64_t t = 0; t < n; ++t) {
      double sum = 0, largest = rows[r][t];
      for (int64_t u = std::max<int64_t>(0, t - half); u <= std::min(n - 1, t + half); ++u) {
        sum += rows[r][u];
        largest = std::max(largest, rows[r][u]);
      }
      result[r][t] = op.pooling == WindowScores::Pooling::kAvg
                         ? sum / static_cast<double>(op.kernel)
                         : largest;
    }
  }
  return result;
}

Rows reduced(const WindowScores& op, const Rows& rows) {
  if (op.reduce == WindowScores::Reduce::kNone) return rows;
  const int64_t group = op.n_heads / op.n_kv_heads;
  Rows result;
  for (int64_t h = 0; h < op.n_kv_heads; ++h) {
    std::vector<double> row = rows[h * group];
    for (int64_t g = 1; g < group; ++g) {
      for (int64_t t = 0; t < op.n_ranked(); ++t) {
        const double x = rows[h * group + g][t];
        row[t] = op.reduce == WindowScores::Reduce::kMax ? std::max(row[t], x) : row[t] + x;
      }
    }
    if (op.reduce == WindowScores::Reduce::kMean) {
      for (auto& x : row) x /= static_cast<double>(group);
    }
    result.push_back(row);
  }
  return result;
}

}  // namespace

void window_scores_reference(const WindowScores& op) {
  with_element(op.dtype, [&](auto element) {
    const Rows all = votes<decltype(element)>(op);
    const Rows scores = op.order == WindowScores::Order::kPoolFirst ? reduced(op, pooled(op, all))
                                                                    : pooled(op, reduced(op, all));
    float* out = op.out;
    for (const auto& row : scores) {
      for (const double x : row) *out++ = static_cast<float>(x);
    }
  });
}

}  // namespace kvbench
