#include <cmath>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/vector_math.h"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {
namespace {

constexpr int64_t kBlock = 256;  // rows of a thread at a time

template <class E, int kP>
float norm(const typename E::Storage* row, int64_t n) {
  Vec sum = {};
  for_vectors<E>(row, n, [&](int64_t, Vec x) { sum += kP == 1 ? (x < 0.0F ? -x : x) : x * x; });
  const float total = horizontal_sum(sum);
  return kP == 1 ? total : std::sqrt(total);
}

template <class E, int kP>
void run(const RowNorms& op) {
  const int64_t n_blocks = (op.n_rows + kBlock - 1) / kBlock;
#pragma omp parallel for schedule(static) collapse(2) if (op.n_heads * n_blocks > 1)
  for (int64_t h = 0; h < op.n_heads; ++h) {
    for (int64_t b = 0; b < n_blocks; ++b) {
      const int64_t end = std::min(op.n_rows, (b + 1) * kBlock);
      for (int64_t t = b * kBlock; t < end; ++t) {
        op.out[h * op.n_rows + t] = norm<E, kP>(row_of<E>(op.rows, h, t), op.head_dim);
      }
    }
  }
}

}  // namespace

void row_norms_cpu(const RowNorms& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    op.p == 1 ? run<E, 1>(op) : run<E, 2>(op);
  });
}

}  // namespace kvbench
