#include <cmath>
#include <numbers>

#include "kernels/common/element.h"
#include "kernels/gated_activation/gated_activation.h"

namespace kvbench {
namespace {

double activation(GatedActivation::Kind kind, double x) {
  if (kind == GatedActivation::Kind::kSilu) return x / (1 + std::exp(-x));
  const double u = std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return 0.5 * x * (1 + std::tanh(u));
}

}  // namespace

void gated_activation_reference(const GatedActivation& op) {
  with_element(op.dtype, [&](auto element) {
    using E = decltype(element);
    const auto* gate_up = static_cast<const typename E::Storage*>(op.gate_up);
    auto* out = static_cast<typename E::Storage*>(op.out);
    for (int64_t r = 0; r < op.n_rows; ++r) {
      for (int64_t i = 0; i < op.n_columns; ++i) {
        const auto* gate = gate_up + 2 * r * op.n_columns + i;
        const auto rounded =
            E::from(static_cast<float>(activation(op.kind, double{E::load(gate)})));
        out[r * op.n_columns + i] = E::from(E::load(&rounded) * E::load(gate + op.n_columns));
      }
    }
  });
}

}  // namespace kvbench
