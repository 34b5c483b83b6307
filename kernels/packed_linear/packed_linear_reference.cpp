#include "kernels/common/element.h"
#include "kernels/packed_linear/packed_linear.h"

namespace kvbench {
namespace {

template <class E, class W>
void multiply_plainly(const PackedLinear& op) {
  using Storage = typename E::Storage;
  const PackedForm form(op.weight_dtype);
  for (int64_t r = 0; r < op.n_rows; ++r) {
    const auto* x = static_cast<const Storage*>(op.x) + r * op.n_in;
    for (int64_t n = 0; n < op.n_out; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < op.n_in; ++k) {
        const auto* weight =
            static_cast<const typename W::Storage*>(op.weight) + form.place(op.n_in, n, k);
        sum += double{E::load(x + k)} * double{W::load(weight)};
      }
      if (op.bias != nullptr) sum += double{E::load(static_cast<const Storage*>(op.bias) + n)};
      static_cast<Storage*>(op.out)[r * op.n_out + n] = E::from(static_cast<float>(sum));
    }
  }
}

}  // namespace

void packed_linear_reference(const PackedLinear& op) {
  if (op.weight_dtype != op.dtype) return multiply_plainly<Float32, BFloat16>(op);
  with_element(op.dtype, [&](auto e) { multiply_plainly<decltype(e), decltype(e)>(op); });
}

}  // namespace kvbench
