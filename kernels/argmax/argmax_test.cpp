#include "kernels/argmax/argmax.h"

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

std::vector<int64_t> argmax(const std::vector<float>& logits, int64_t n_rows) {
  TestArray in(logits);
  TestArray<int64_t> ids(n_rows);
  Argmax op = {n_rows, std::ssize(logits) / n_rows, in.data(), ids.data(), nullptr};
  TestArray<uint8_t> workspace(kTestsCuda ? argmax_workspace_bytes(op) : 0);
  op.workspace = workspace.data();
  [&] { KVB_RUN(argmax, op); }();
  return ids.read();
}

TEST(Argmax, HandWorked) {
  const float inf = INFINITY, nan = std::nanf("");
  EXPECT_EQ(argmax({1, 3, 2, 3, -0.0F, 0.0F, -1, -0.0F}, 2), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(argmax({-inf, -inf, -inf, inf, 1, inf}, 2), (std::vector<int64_t>{0, 0}));
  EXPECT_EQ(argmax({1, nan, inf, -nan, 2, 1}, 2), (std::vector<int64_t>{-1, -1}));
}

// Rows of one column, odd ones, and more than a block's piece, with the highest logit once, and
// several times; a NaN at the end.
TEST(Argmax, EqualsTheReference) {
  for (const int64_t n_columns : {1, 31, 64, 1000, 9001}) {
    for (const uint64_t seed : {1, 2, 3}) {
      constexpr int64_t kRows = 3;
      auto logits = random_values(kRows * n_columns, seed, DType::kFloat32, 5);
      for (int64_t v = n_columns; v < 2 * n_columns; ++v) logits[v] = std::round(logits[v] / 8);
      if (seed == 3) logits.back() = std::nanf("");
      std::vector<int64_t> want(kRows);
      argmax_reference({kRows, n_columns, logits.data(), want.data(), nullptr});
      EXPECT_EQ(argmax(logits, kRows), want) << n_columns;
    }
  }
}

}  // namespace
}  // namespace kvbench
