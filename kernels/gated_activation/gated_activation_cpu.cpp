#include <algorithm>

#include "kernels/common/element.h"
#include "kernels/common/team.h"
#include "kernels/common/vector_math.h"
#include "kernels/gated_activation/gated_activation.h"

namespace kvbench {
namespace {

constexpr int64_t kElementsOfAThread = 1 << 14;  // below that threads cost more than they bring

// 1 / (1 + exp(-x)) without overflow on either side.
Vec sigmoid(Vec x) {
  const Vec e = exp_nonpositive(x < 0.0F ? x : -x);
  return (x < 0.0F ? e : Vec{} + 1.0F) / (e + 1.0F);
}

Vec activation(GatedActivation::Kind kind, Vec x) {
  if (kind == GatedActivation::Kind::kSilu) return x * sigmoid(x);
  constexpr float kTwoRoots = 1.5957691216057308F;  // 2 sqrt(2 / pi)
  return x * sigmoid((x * x * x * 0.044715F + x) * kTwoRoots);
}

template <class E>
void apply(GatedActivation::Kind kind, const typename E::Storage* gate,
           const typename E::Storage* up, typename E::Storage* out) {
  typename E::Storage rounded[kLanes];
  E::store_lanes(activation(kind, E::load_lanes(gate)), rounded);
  E::store_lanes(E::load_lanes(rounded) * E::load_lanes(up), out);
}

template <class E>
void run(const GatedActivation& op) {
  using Storage = typename E::Storage;
  const int64_t n = op.n_columns, whole = n / kLanes * kLanes;
#pragma omp for schedule(static)
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const auto* gate = static_cast<const Storage*>(op.gate_up) + 2 * r * n;
    auto* out = static_cast<Storage*>(op.out) + r * n;
    for (int64_t i = 0; i < whole; i += kLanes) {
      apply<E>(op.kind, gate + i, gate + n + i, out + i);
    }
    if (whole == n) continue;
    Storage of_gate[kLanes] = {}, of_up[kLanes] = {}, of_out[kLanes];
    std::copy(gate + whole, gate + n, of_gate);
    std::copy(gate + n + whole, gate + 2 * n, of_up);
    apply<E>(op.kind, of_gate, of_up, of_out);
    std::copy(of_out, of_out + n - whole, out + whole);
  }
}

}  // namespace

void gated_activation_cpu(const GatedActivation& op) {
  with_element(op.dtype, [&](auto element) {
    on_team(op.n_rows * op.n_columns > kElementsOfAThread,
            [op, element] { run<decltype(element)>(op); });
  });
}

}  // namespace kvbench
