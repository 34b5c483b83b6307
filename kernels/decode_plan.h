// How the attention of a decode step is split into blocks of equal work over heads of any length.
//
// A block takes one split of one head's rows, split i of n from row length * i / n on. Blocks find
// their rows by the lengths at hand, so that a plan stays valid while heads grow, and stays
// balanced while they grow alike: it is made once from the lengths, kept on the device, and made
// anew only after a cut. So the launches of a step never change.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvbench {

// What a block does; on the device an array of them.
struct DecodeWork {
  int32_t head = 0;  // of all: sequence * n_kv_heads + KV head
  int32_t split = 0, n_splits = 1;
};

struct DecodePlan {
  std::vector<DecodeWork> work;  // of one head side by side, its splits in order
  std::vector<int32_t> first;    // [n_heads + 1]: where each head's work begins

  // Rows of the largest split over the mean of all, at these lengths.
  double imbalance(std::span<const int64_t> lengths) const;
};

// lengths: of all heads, each 1 or more. `n_blocks`: how many a device works on at once; the plan
// has about as many, or more where that is what balances them, as long as there are enough rows.
// `growth`: rows that each head is still to get. A short head could be one long split by then, so
// that heads are split by their lengths at the end; it costs a little now.
DecodePlan make_decode_plan(std::span<const int64_t> lengths, int64_t n_blocks, int64_t growth = 0);

}  // namespace kvbench
