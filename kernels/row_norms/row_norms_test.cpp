#include "kernels/row_norms/row_norms.h"

#include "kernels/common/test_threads.h"

namespace kvbench {
namespace {

// One row, odd numbers of them, more than a block has; heads one behind the other and side by side.
TEST(RowNorms, EqualTheReference) {
  struct Shape {
    int64_t n_heads, n_rows, head_dim;
  };
  for (const DType dtype : kDTypes) {
    for (const auto& [H, T, d] :
         {Shape{1, 1, 8}, {3, 31, 80}, {2, 77, 64}, {1, 300, 16}, {2, 65, 128}, {1, 9, 256}}) {
      for (const bool side_by_side : {false, true}) {
        for (const int p : {1, 2}) {
          const auto rows = encode(random_values(H * T * d, 7, dtype, 3), dtype);
          std::vector<float> want(H * T);
          RowNorms op = {H, T, d, dtype, p, {rows.data(), T * d, d}, want.data()};
          if (side_by_side) op.rows = {rows.data(), d, H * d};
          row_norms_reference(op);
          TestArray in(rows);
          TestArray<float> out(want.size());
          op.rows.data = in.data();
          op.out = out.data();
          const auto run = [&] { KVB_RUN(row_norms, op); };
          run();
          expect_near(out.read(), want, 1e-6);
          expect_same_with_any_threads(out, run);
        }
      }
    }
  }
}

TEST(RowNorms, OfNoRow) {
  RowNorms op;
  op.n_heads = 2;
  op.head_dim = 64;
  KVB_RUN(row_norms, op);
}

}  // namespace
}  // namespace kvbench
