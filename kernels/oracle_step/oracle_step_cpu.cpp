#include <vector>

#include "kernels/common/softmax_cpu.h"
#include "kernels/oracle_step/oracle_step.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = 512;  // keys of a thread at a time

// logits[r * stride] = query_r . key for R query heads, [R, whole vectors of d], or fewer.
template <class E, int64_t R = 4>
void dot_queries(const float* queries, int64_t n, const typename E::Storage* key, int64_t d,
                 float* logits, int64_t stride) {
  const int64_t padded = whole_vectors(d);
  for (; n >= R; n -= R, queries += R * padded, logits += R * stride) {
    Vec dots[R] = {};
    for_vectors<E>(key, d, [&](int64_t c, Vec x) {
      for (int64_t r = 0; r < R; ++r) dots[r] += x * Float32::load_lanes(queries + r * padded + c);
    });
    for (int64_t r = 0; r < R; ++r) logits[r * stride] = horizontal_sum(dots[r]);
  }
  if constexpr (R > 1) dot_queries<E, R - 1>(queries, n, key, d, logits, stride);
}

template <class E>
void run(const OracleStep& op) {
  const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads, n = op.n_keys;
  const int64_t width = whole_vectors(n), padded = whole_vectors(d);
  const int64_t n_blocks = (n + kBlock - 1) / kBlock;
  std::vector<float> weights(op.n_query_heads * width, kNoLogit);
  std::vector<float> queries(op.n_query_heads * padded);  // scaled
  for (int64_t q = 0; q < op.n_query_heads; ++q) {
    const auto* query = static_cast<const typename E::Storage*>(op.query) + q * d;
    for (int64_t c = 0; c < d; ++c) queries[q * padded + c] = E::load(query + c) * op.scale;
  }
#pragma omp parallel if (op.n_heads * n_blocks > 1)
  {
#pragma omp for schedule(static) collapse(2)
    for (int64_t h = 0; h < op.n_heads; ++h) {
      for (int64_t b = 0; b < n_blocks; ++b) {
        for (int64_t t = b * kBlock; t < std::min(n, (b + 1) * kBlock); ++t) {
          dot_queries<E>(&queries[h * group * padded], group, row_of<E>(op.keys, h, t), d,
                         &weights[h * group * width + t], width);
        }
      }
    }
#pragma omp for schedule(dynamic)
    for (int64_t q = 0; q < op.n_query_heads; ++q) softmax_row(&weights[q * width], width);
#pragma omp for schedule(static) collapse(2)
    for (int64_t h = 0; h < op.n_heads; ++h) {
      for (int64_t b = 0; b < n_blocks; ++b) {
        float* importance = op.importance + h * op.n_tokens;
        for (int64_t q = h * group; q < (h + 1) * group; ++q) {
          const float *weight = &weights[q * width], *norm = op.norms + q * op.n_tokens;
          for (int64_t t = b * kBlock; t < std::min(op.n_tokens, (b + 1) * kBlock); ++t) {
            importance[t] = std::max(importance[t], weight[t] * norm[t]);
          }
        }
      }
    }
  }
}

}  // namespace

void oracle_step_cpu(const OracleStep& op) {
  if (op.n_keys == 0) return;
  with_element(op.dtype, [&](auto element) { run<decltype(element)>(op); });
}

}  // namespace kvbench
