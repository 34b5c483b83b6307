#include <cmath>

#include "kernels/common/rows_cpu.h"
#include "kernels/common/team.h"
#include "kernels/common/vector_math.h"
#include "kernels/rms_norm/rms_norm.h"

namespace kvbench {
namespace {

constexpr int64_t kElementsOfAThread = 1 << 14;  // below that threads cost more than they bring

template <class E, class W>
void norm_row(const RmsNorm& op, int64_t r) {
  const int64_t n = op.n_columns;
  const auto* row = static_cast<const typename E::Storage*>(op.x) + r * n;
  if (op.residual != nullptr) {
    auto* residual = static_cast<typename E::Storage*>(op.residual) + r * n;
    for_vectors<E>(row, n, [&](int64_t c, Vec x) {
      store_first<E>(load_first<E>(residual + c, n - c) + x, residual + c, n - c);
    });
    row = residual;
  }
  Vec squares = {};
  for_vectors<E>(row, n, [&](int64_t, Vec x) { squares += x * x; });
  const float scale = 1 / std::sqrt(horizontal_sum(squares) / static_cast<float>(n) + op.eps);
  const auto* weight = static_cast<const typename W::Storage*>(op.weight);
  auto* out = static_cast<typename E::Storage*>(op.out) + r * n;
  for_vectors<E>(row, n, [&](int64_t c, Vec x) {
    const Vec product = W::round_lanes(x * scale) * load_first<W>(weight + c, n - c);
    store_first<E>(W::round_lanes(product), out + c, n - c);
  });
}

}  // namespace

void rms_norm_cpu(const RmsNorm& op) {
  with_element_and_weight(op.dtype, op.weight_dtype, [&](auto element, auto weight) {
    on_team(op.n_rows * op.n_columns > kElementsOfAThread, [op, element, weight] {
#pragma omp for schedule(static)
      for (int64_t r = 0; r < op.n_rows; ++r) norm_row<decltype(element), decltype(weight)>(op, r);
    });
  });
}

}  // namespace kvbench
