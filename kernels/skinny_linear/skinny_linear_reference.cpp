#include "kernels/common/element.h"
#include "kernels/skinny_linear/skinny_linear.h"

namespace kvbench {
namespace {

template <class E>
void multiply(const SkinnyLinear& op) {
  using Storage = typename E::Storage;
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const auto* x = static_cast<const Storage*>(op.x) + r * op.n_in;
    for (int64_t n = 0; n < op.n_out; ++n) {
      const auto* weight = static_cast<const Storage*>(op.weight) + n * op.n_in;
      double sum = 0;
      for (int64_t k = 0; k < op.n_in; ++k) {
        sum += double{E::load(x + k)} * double{E::load(weight + k)};
      }
      if (op.bias != nullptr) sum += double{E::load(static_cast<const Storage*>(op.bias) + n)};
      static_cast<Storage*>(op.out)[r * op.n_out + n] = E::from(static_cast<float>(sum));
    }
  }
}

}  // namespace

void skinny_linear_reference(const SkinnyLinear& op) {
  with_element(op.dtype, [&](auto element) { multiply<decltype(element)>(op); });
}

}  // namespace kvbench
