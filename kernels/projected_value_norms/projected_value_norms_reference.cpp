#include <cmath>

#include "kernels/common/rows_cpu.h"
#include "kernels/projected_value_norms/projected_value_norms.h"

namespace kvbench {

void projected_value_norms_reference(const ProjectedValueNorms& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const int64_t d = op.head_dim, group = op.n_query_heads / op.n_heads;
    const auto* weight = static_cast<const typename E::Storage*>(op.output_weight);
    const auto norm = [&](int64_t q, int64_t t) {
      const auto* value = row_of<E>(op.values, q / group, t);
      double sum = 0;
      for (int64_t n = 0; n < op.hidden; ++n) {
        double y = 0;
        for (int64_t c = 0; c < d; ++c) {
          y += double{E::load(weight + (n * op.n_query_heads + q) * d + c)} * E::load(value + c);
        }
        sum += op.p == 1 ? std::abs(y) : y * y;
      }
      return op.p == 1 ? sum : std::sqrt(sum);
    };
    for (int64_t t = 0; t < op.n_rows; ++t) {
      for (int64_t h = 0; h < op.n_heads; ++h) {
        double mean = 0;
        for (int64_t q = h * group; q < (h + 1) * group; ++q) {
          const double of_query_head = norm(q, t);
          mean += of_query_head / static_cast<double>(group);
          if (op.p == 2) op.out[q * op.n_rows + t] = static_cast<float>(of_query_head);
        }
        if (op.p == 1) op.out[h * op.n_rows + t] = static_cast<float>(mean);
      }
    }
  });
}

}  // namespace kvbench
