#include <vector>

#include "kernels/oracle_step.h"
#include "kernels/softmax_cpu.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = 512;  // keys of a thread at a time

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
          for (int64_t q = h * group; q < (h + 1) * group; ++q) {
            Vec dot = {};
            for_vectors<E>(row_of<E>(op.keys, h, t), d, [&](int64_t c, Vec x) {
              dot += x * Float32::load_lanes(&queries[q * padded + c]);
            });
            weights[q * width + t] = horizontal_sum(dot);
          }
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
