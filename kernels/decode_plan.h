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

// lengths: of all heads, each 1 or more. `n_blocks`: how many a device works on at once. The plan
// has about as many, or more where that is what balances them, but none of fewer than kLeastRows
// rows unless its head has no more.
DecodePlan make_decode_plan(std::span<const int64_t> lengths, int64_t n_blocks);

}  // namespace kvbench
