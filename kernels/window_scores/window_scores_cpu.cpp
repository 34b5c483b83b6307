#include <algorithm>
#include <vector>

#include "kernels/attention_column_sums/attention_column_sums.h"
#include "kernels/common/vector_math.h"
#include "kernels/window_scores/window_scores.h"

namespace kvbench {
namespace {

// `in` [n] pooled into `out`.
void pool(const WindowScores& op, const float* in, float* out) {
  const int64_t n = op.n_ranked(), half = op.kernel / 2;
  std::copy(in, in + n, out);
  // Neighbours at one distance after the other: whole rows at a time.
  for (int64_t distance = 1; distance <= std::min(half, n - 1); ++distance) {
    for (int64_t t = 0; t < n - distance; ++t) {
      out[t] = op.pooling == WindowScores::Pooling::kMax ? larger(out[t], in[t + distance])
                                                         : out[t] + in[t + distance];
    }
    for (int64_t t = distance; t < n; ++t) {
      out[t] = op.pooling == WindowScores::Pooling::kMax ? larger(out[t], in[t - distance])
                                                         : out[t] + in[t - distance];
    }
  }
  if (op.pooling == WindowScores::Pooling::kMax) return;
  for (int64_t t = 0; t < n; ++t) out[t] /= static_cast<float>(op.kernel);
}

// Rows of a group, `in` [group, n], into one.
void reduce(const WindowScores& op, const float* in, float* out) {
  const int64_t n = op.n_ranked(), group = op.n_heads / op.n_kv_heads;
  std::copy(in, in + n, out);
  for (int64_t g = 1; g < group; ++g) {
    for (int64_t t = 0; t < n; ++t) {
      const float x = in[g * n + t];
      out[t] = op.reduce == WindowScores::Reduce::kMax ? larger(out[t], x) : out[t] + x;
    }
  }
  if (op.reduce != WindowScores::Reduce::kMean) return;
  for (int64_t t = 0; t < n; ++t) out[t] /= static_cast<float>(group);
}

}  // namespace

void window_scores_cpu(const WindowScores& op) {
  const int64_t n = op.n_ranked(), group = op.n_heads / op.n_kv_heads;
  std::vector<float> votes(op.n_heads * n);
  AttentionColumnSums sums = op.votes();
  sums.out = votes.data();
  attention_column_sums_cpu(sums);
  const bool reduces = op.reduce != WindowScores::Reduce::kNone;
#pragma omp parallel
  {
    std::vector<float> row(n);
    if (!reduces) {
#pragma omp for
      for (int64_t q = 0; q < op.n_heads; ++q) pool(op, votes.data() + q * n, op.out + q * n);
    } else if (op.order == WindowScores::Order::kGroupFirst) {
#pragma omp for
      for (int64_t h = 0; h < op.n_kv_heads; ++h) {
        reduce(op, votes.data() + h * group * n, row.data());
        pool(op, row.data(), op.out + h * n);
      }
    } else {
#pragma omp for
      for (int64_t q = 0; q < op.n_heads; ++q) {
        pool(op, votes.data() + q * n, row.data());
        std::copy(row.begin(), row.end(), votes.begin() + q * n);
      }
#pragma omp for
      for (int64_t h = 0; h < op.n_kv_heads; ++h) {
        reduce(op, votes.data() + h * group * n, op.out + h * n);
      }
    }
  }
}

}  // namespace kvbench
