// Who reads which rows of a ragged cache in decode: heads differ in length by several times, so
// long ones are split until all shares are about as long. A share is a fraction of its head,
// whatever the head's length, so a plan stays right as heads grow by a token a step, and so does
// the launch that goes by it. A cut makes a new plan of the same n_items.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench {

// Rows n * split / n_splits up to n * (split + 1) / n_splits of the n rows of a head.
struct DecodeItem {
  int32_t sequence = 0, kv_head = 0, split = 0, n_splits = 0;  // n_splits 0: nothing to do
};

struct DecodePlan {
  std::vector<DecodeItem> items;     // [n_items], those of a head side by side, unused ones last
  std::vector<int32_t> first_items;  // [S * H + 1] of each head, and one past the last that is used
};

// The longest share is as short as n_items allow, but kShortestShare rows if they allow less:
// shares leave sums behind that must be merged. Of lengths [S, H] as they are or will be: as heads
// grow alike, short ones grow most, so a plan for what they will be half the way on serves longer
// (decode_plan_test.cpp has figures). Plans of the same n_items fit the same launch: a new one is
// two arrays to copy. n_items >= S * H; kDecodeItems for every multiprocessor of the GPU, as
// many blocks as run at once: of 4 to 32 on an H200 6 and 8 are best (results/reference/gpu.md).
inline constexpr int64_t kShortestShare = 64, kDecodeItems = 8;
DecodePlan decode_plan(std::span<const int64_t> lengths, int64_t n_kv_heads, int64_t n_items);

}  // namespace kvbench
