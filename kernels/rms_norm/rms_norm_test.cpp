#include "kernels/rms_norm/rms_norm.h"

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

struct Case {
  int64_t n_rows, n_columns;
  DType dtype, weight_dtype;
  bool residual;
};

void expect_reference(const Case& c) {
  const size_t n = c.n_rows * c.n_columns;
  const auto x = encode(random_values(n, 1, c.dtype, 2), c.dtype);
  const auto weight = encode(random_values(c.n_columns, 2, c.weight_dtype), c.weight_dtype);
  auto residual = encode(random_values(c.residual ? n : 0, 3, c.dtype), c.dtype);
  TestArray in(x), of_weight(weight), of_residual(residual);
  TestArray<uint8_t> out(x.size());
  std::vector<uint8_t> want(x.size());
  RmsNorm op = {c.n_rows, c.n_columns, c.dtype, c.weight_dtype, 1e-5F};
  RmsNorm tested = op;
  op.x = x.data();
  op.weight = weight.data();
  op.residual = c.residual ? residual.data() : nullptr;
  op.out = want.data();
  rms_norm_reference(op);
  tested.x = in.data();
  tested.weight = of_weight.data();
  tested.residual = c.residual ? of_residual.data() : nullptr;
  tested.out = out.data();
  KVB_RUN(rms_norm, tested);
  EXPECT_EQ(of_residual.read(), residual);  // exactly
  // A sum that is off in its last place may send either rounding the other way.
  expect_near(decode(out.read(), c.dtype), decode(want, c.dtype), 2 * rounding(c.dtype), 1e-6);
}

TEST(RmsNorm, EqualsTheReference) {
  for (const DType dtype : kDTypes) {
    for (const DType weight_dtype : {dtype, DType::kFloat32}) {
      for (const bool residual : {false, true}) {
        for (const auto& [n_rows, n_columns] :
             {std::pair<int64_t, int64_t>{1, 8}, {3, 64}, {2, 576}, {1, 4104}}) {
          expect_reference({n_rows, n_columns, dtype, weight_dtype, residual});
        }
      }
    }
  }
}

TEST(RmsNorm, ARowIsTheSameWhateverStandsBesideIt) {
  constexpr int64_t kRows = 5, kColumns = 72;
  TestArray x(encode(random_values(kRows * kColumns, 1, DType::kBFloat16), DType::kBFloat16));
  TestArray weight(encode(random_values(kColumns, 2, DType::kBFloat16), DType::kBFloat16));
  TestArray<uint8_t> all(x.size()), one(2 * kColumns);
  RmsNorm op = {kRows,    kColumns,      DType::kBFloat16, DType::kBFloat16, 1e-6F,
                x.data(), weight.data(), nullptr,          all.data()};
  KVB_RUN(rms_norm, op);
  op.n_rows = 1;
  op.x = x.data() + 3 * 2 * kColumns;
  op.out = one.data();
  KVB_RUN(rms_norm, op);
  const auto rows = all.read();
  EXPECT_EQ(one.read(),
            std::vector<uint8_t>(rows.begin() + 3 * 2 * kColumns, rows.begin() + 4 * 2 * kColumns));
}

}  // namespace
}  // namespace kvbench
