#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/ragged_rows_torch.h"

namespace kvbench {
namespace {

TEST(RaggedRows, GatherThenAppend) {
  const auto source = at::arange(2 * 5 * 2, at::kFloat).view({2, 5, 2});
  const auto kept = at::tensor({0, 4, 1, 2, 3}, at::kLong);
  const auto offsets = at::tensor({0, 2, 5}, at::kLong);
  const auto starts = at::tensor({0, 3}, at::kLong);  // one row of slack for the first head
  auto out = at::full({7, 2}, -1.0F);
  ragged_gather(source, kept, offsets, starts, out);
  EXPECT_TRUE(at::equal(out.select(1, 0), at::tensor({0.F, 8.F, -1.F, 12.F, 14.F, 16.F, -1.F})));
  const auto rows = at::tensor({100.F, 101.F, 200.F, 201.F}).view({1, 1, 2, 2});
  ragged_append(rows, out, starts.view({1, 2}), at::tensor({3, 4}, at::kLong).view({1, 2}));
  EXPECT_TRUE(at::equal(out.select(1, 0), at::tensor({0.F, 8.F, 100.F, 12.F, 14.F, 16.F, 200.F})));
  const auto outside = at::tensor({0, 5, 1, 2, 3}, at::kLong);
  EXPECT_THROW(ragged_gather(source, outside, offsets, starts, out), c10::Error);
  EXPECT_THROW(ragged_gather(source, kept, offsets, at::tensor({0, 5}, at::kLong), out),
               c10::Error);
}

// The forms for other devices move the same rows and leave all others alone.
TEST(RaggedRows, CompositesEqualTheKernels) {
  at::manual_seed(3);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto source = at::randn({3, 9, 5}).to(dtype);
    const auto kept = at::tensor({8, 0, 3, 4, 5, 6, 2}, at::kLong);
    const auto offsets = at::tensor({0, 2, 2, 7}, at::kLong);  // head 1 keeps nothing
    const auto starts = at::tensor({1, 4, 5}, at::kLong);
    auto want = at::full({14, 5}, -1.0F).to(dtype), got = want.clone();
    ragged_gather(source, kept, offsets, starts, want);
    ragged_gather_composite(source, kept, offsets, starts, got);
    EXPECT_TRUE(at::equal(got, want));

    const auto rows = at::randn({2, 3, 2, 5}).to(dtype);  // 3 new tokens of 2 sequences
    const auto firsts = at::tensor({0, 6, 2, 9}, at::kLong).view({2, 2});
    const auto lengths = at::tensor({4, 7, 3, 4}, at::kLong).view({2, 2});
    const std::vector<at::Tensor> buffers = {at::full({14, 5}, -1.0F).to(dtype),
                                             at::full({13, 5}, -2.0F).to(dtype)};
    const std::vector<at::Tensor> others = {buffers[0].clone(), buffers[1].clone()};
    ragged_append(rows, buffers, firsts, lengths);
    ragged_append_composite(rows, others, firsts, lengths);
    for (size_t s = 0; s < 2; ++s) EXPECT_TRUE(at::equal(others[s], buffers[s]));
    EXPECT_TRUE(at::equal(buffers[0].narrow(0, 1, 3), rows[0].select(1, 0)));
    EXPECT_THROW(ragged_append_composite(rows[0], others, firsts, lengths), c10::Error);
    EXPECT_THROW(ragged_append_composite(rows, others[0], firsts, lengths), c10::Error);
  }
}

}  // namespace
}  // namespace kvbench
