#include <cmath>

#include "kernels/common/rows_cpu.h"
#include "kernels/row_norms/row_norms.h"

namespace kvbench {

void row_norms_reference(const RowNorms& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    for (int64_t h = 0; h < op.n_heads; ++h) {
      for (int64_t t = 0; t < op.n_rows; ++t) {
        const auto* row = row_of<E>(op.rows, h, t);
        double sum = 0;
        for (int64_t c = 0; c < op.head_dim; ++c) {
          const double x = E::load(row + c);
          sum += op.p == 1 ? std::abs(x) : x * x;
        }
        op.out[h * op.n_rows + t] = static_cast<float>(op.p == 1 ? sum : std::sqrt(sum));
      }
    }
  });
}

}  // namespace kvbench
