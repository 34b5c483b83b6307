#include "kernels/gated_activation/gated_activation.h"

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

// Rows of one element, odd ones, whole packs of 16 bytes, and more than a block has threads.
TEST(GatedActivation, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const auto kind : {GatedActivation::Kind::kSilu, GatedActivation::Kind::kGeluTanh}) {
      for (const auto& [n_rows, n_columns] :
           {std::pair<int64_t, int64_t>{1, 1}, {3, 31}, {2, 64}, {5, 520}}) {
        const auto gate_up = encode(random_values(n_rows * 2 * n_columns, 1, dtype, 6), dtype);
        std::vector<uint8_t> want(gate_up.size() / 2);
        GatedActivation op = {n_rows, n_columns, kind, dtype, gate_up.data(), want.data()};
        gated_activation_reference(op);
        TestArray in(gate_up);
        TestArray<uint8_t> out(want.size());
        op.gate_up = in.data();
        op.out = out.data();
        KVB_RUN(gated_activation, op);
        // Rounded twice, before the product and after it.
        expect_near(decode(out.read(), dtype), decode(want, dtype), 2 * rounding(dtype), 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
