#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "kernels/cache_cut/cache_cut_torch.h"
#include "kernels/cache_rows/cache_append_torch.h"
#include "kernels/cache_rows/cache_gather_torch.h"
#include "kernels/cache_rows/cache_move_torch.h"

namespace kvbench {
namespace {

TEST(CacheRows, GatherThenAppend) {
  const auto keys = at::arange(2 * 5 * 2, at::kFloat).view({2, 5, 2}), values = keys + 100;
  const auto positions = at::tensor({0, 4, 1, 2, 3}, at::kInt);
  const auto offsets = at::tensor({0, 2, 5}, at::kInt);
  const auto starts = at::tensor({0, 3}, at::kLong);  // one row of slack for the first head
  auto out = at::full({7, 2}, -1.0F), out_values = out.clone();
  cache_gather(keys, values, positions, offsets, starts, out, out_values);
  EXPECT_TRUE(at::equal(out.select(1, 0), at::tensor({0.F, 8.F, -1.F, 12.F, 14.F, 16.F, -1.F})));
  EXPECT_EQ(out_values[3][0].item<float>(), 112);
  const auto rows = at::tensor({100.F, 101.F, 200.F, 201.F}).view({1, 1, 2, 2});
  cache_append(rows, rows + 1, out, out_values, starts.view({1, 2}),
               at::tensor({3, 4}, at::kLong).view({1, 2}));
  EXPECT_TRUE(at::equal(out.select(1, 0), at::tensor({0.F, 8.F, 100.F, 12.F, 14.F, 16.F, 200.F})));
  EXPECT_EQ(out_values[6][1].item<float>(), 202);
}

// Head 0 keeps its rows 1 and 4 of 5, head 1 all of its 2.
TEST(CacheRows, CutWhereTheyLie) {
  auto keys = at::arange(8, at::kFloat).view({8, 1}), values = keys + 100;
  auto lengths = at::tensor({5, 2}, at::kLong);
  const auto starts = at::tensor({0, 6}, at::kLong), offsets = at::tensor({0, 2, 4}, at::kInt);
  const auto before =
      cache_cut(at::tensor({1, 4, 0, 1}, at::kInt), offsets, starts, keys, values, lengths);
  EXPECT_TRUE(at::equal(before, at::tensor({4, 1, 0, 1}, at::kInt)));
  EXPECT_TRUE(at::equal(lengths, at::tensor({2, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(keys.flatten(), at::tensor({4.F, 1.F, 2.F, 3.F, 4.F, 5.F, 6.F, 7.F})));
  EXPECT_TRUE(at::equal(values, keys + 100));
}

TEST(CacheRows, CutRefusesWhatDoesNotFit) {
  auto keys = at::zeros({8, 4}), values = at::zeros({8, 4}), halves = values.to(at::kHalf);
  auto lengths = at::tensor({5, 2}, at::kLong), ints = lengths.to(at::kInt);
  const auto starts = at::tensor({0, 6}, at::kLong), offsets = at::tensor({0, 2, 4}, at::kInt);
  const auto positions = at::tensor({1, 4, 0, 1}, at::kInt);
  EXPECT_NO_THROW(cache_cut(positions, offsets, starts, keys, values, lengths));
  EXPECT_THROW(cache_cut(positions, offsets, starts, keys, halves, lengths), c10::Error);
  EXPECT_THROW(cache_cut(positions, offsets, starts, keys, values, ints), c10::Error);
  EXPECT_THROW(cache_cut(positions, offsets + 1, starts, keys, values, lengths), c10::Error);
  EXPECT_THROW(cache_cut(positions, offsets, starts + 1, keys, values, lengths), c10::Error);
  EXPECT_THROW(cache_cut(positions.flip(0), offsets, starts, keys, values, lengths), c10::Error);
  EXPECT_THROW(cache_cut(positions - 1, offsets, starts, keys, values, lengths), c10::Error);
}

// Views of a larger tensor are read where they lie or copied first, whichever their rows allow.
TEST(CacheRows, SourcesMayBeViews) {
  for (const int64_t d : {3, 16}) {
    at::manual_seed(3);
    const auto all = at::randn({2, 3, 5, d});  // [S, m, heads, d]: heads 1 and 2, 3 and 4
    const auto keys = all.narrow(2, 1, 2), values = all.narrow(2, 3, 2);
    auto cached_keys = at::zeros({40, d}), cached_values = at::zeros({40, d});
    const auto starts = at::tensor({0, 10, 20, 30}, at::kLong).view({2, 2});
    cache_append(keys, values, cached_keys, cached_values, starts, at::full({2, 2}, 4, at::kLong));
    for (int64_t s = 0; s < 2; ++s) {
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t first = starts[s][h].item<int64_t>() + 1;
        EXPECT_TRUE(at::equal(cached_keys.narrow(0, first, 3), keys[s].select(1, h)));
        EXPECT_TRUE(at::equal(cached_values.narrow(0, first, 3), values[s].select(1, h)));
      }
    }
  }
}

TEST(CacheRows, RefuseWhatDoesNotFit) {
  const auto keys = at::zeros({2, 5, 8});
  const auto positions = at::tensor({0, 4, 1, 2, 3}, at::kInt);
  const auto offsets = at::tensor({0, 2, 5}, at::kInt), starts = at::tensor({0, 3}, at::kLong);
  auto out = at::zeros({7, 8}), other = at::zeros({7, 8});
  EXPECT_NO_THROW(cache_gather(keys, keys, positions, offsets, starts, out, other));
  EXPECT_THROW(cache_gather(keys, keys, positions + 1, offsets, starts, out, other), c10::Error);
  EXPECT_THROW(cache_gather(keys, keys, positions, offsets, starts + 2, out, other), c10::Error);
  EXPECT_THROW(cache_gather(keys, keys, positions, offsets + 1, starts, out, other), c10::Error);
  EXPECT_THROW(cache_gather(keys, keys, positions.to(at::kLong), offsets, starts, out, other),
               c10::Error);
  EXPECT_THROW(cache_gather(keys, keys.to(at::kHalf), positions, offsets, starts, out, other),
               c10::Error);
  EXPECT_NO_THROW(cache_move(out, out, {0, 4}, {3, 0}, {4, 3}, other, other));
  EXPECT_THROW(cache_move(out, out, {0, 5}, {3, 0}, {4, 3}, other, other), c10::Error);
  EXPECT_THROW(cache_move(out, out, {0, 4}, {4, 0}, {4, 3}, other, other), c10::Error);
  EXPECT_THROW(cache_move(out, out, {0, -1}, {3, 0}, {4, 3}, other, other), c10::Error);
  EXPECT_THROW(cache_move(out, out, {0}, {3, 0}, {4, 3}, other, other), c10::Error);
  EXPECT_THROW(cache_move(out, out.to(at::kHalf), {0}, {3}, {4}, other, other), c10::Error);
  const auto rows = at::zeros({1, 1, 2, 8});
  const auto firsts = starts.view({1, 2}), lengths = at::tensor({3, 4}, at::kLong).view({1, 2});
  EXPECT_NO_THROW(cache_append(rows, rows, out, other, firsts, lengths));
  EXPECT_THROW(cache_append(rows, rows, out, other, firsts, lengths + 1), c10::Error);
  EXPECT_THROW(cache_append(rows[0], rows[0], out, other, firsts, lengths), c10::Error);
  EXPECT_THROW(cache_append(rows, rows, out, other.to(at::kHalf), firsts, lengths), c10::Error);
}

}  // namespace
}  // namespace kvbench
