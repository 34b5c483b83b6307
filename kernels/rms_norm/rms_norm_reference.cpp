#include <cmath>

#include "kernels/common/element.h"
#include "kernels/rms_norm/rms_norm.h"

namespace kvbench {

void rms_norm_reference(const RmsNorm& op) {
  with_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto of_weight) {
    using E = decltype(element);
    using W = decltype(of_weight);
    const auto* weight = static_cast<const typename W::Storage*>(op.weight);
    for (int64_t r = 0; r < op.n_rows; ++r) {
      const auto* row = static_cast<const typename E::Storage*>(op.x) + r * op.n_columns;
      if (op.residual != nullptr) {
        auto* residual = static_cast<typename E::Storage*>(op.residual) + r * op.n_columns;
        for (int64_t i = 0; i < op.n_columns; ++i) {
          residual[i] = E::from(E::load(residual + i) + E::load(row + i));
        }
        row = residual;
      }
      double squares = 0;
      for (int64_t i = 0; i < op.n_columns; ++i)
        squares += double{E::load(row + i)} * E::load(row + i);
      const double scale = 1 / std::sqrt(squares / static_cast<double>(op.n_columns) + op.eps);
      auto* out = static_cast<typename E::Storage*>(op.out) + r * op.n_columns;
      for (int64_t i = 0; i < op.n_columns; ++i) {
        const float normed = rounded<W>(static_cast<float>(E::load(row + i) * scale));
        out[i] = E::from(rounded<W>(normed * W::load(weight + i)));
      }
    }
  });
}

}  // namespace kvbench
