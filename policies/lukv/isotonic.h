// Isotonic regression by pooling adjacent violators, in float64.
#pragma once

#include <cstddef>
#include <vector>

namespace kvbench::lukv {

// Neighbouring items with one mean, sum / weight.
struct Block {
  double sum, weight;
  size_t n_items;
};

// The nondecreasing means nearest to those of n items in weighted squares: item(i) is a Block of
// one item, of positive weight. Means of the blocks strictly increase.
template <class Item>
std::vector<Block> isotonic_blocks(size_t n, Item&& item) {
  std::vector<Block> blocks(n);
  size_t n_blocks = 0;
  for (size_t i = 0; i < n; ++i) {
    Block last = item(i);
    // A block that is not above the one before it joins it; means compared without division.
    while (n_blocks > 0 &&
           blocks[n_blocks - 1].sum * last.weight >= last.sum * blocks[n_blocks - 1].weight) {
      --n_blocks;
      last.sum += blocks[n_blocks].sum;
      last.weight += blocks[n_blocks].weight;
      last.n_items += blocks[n_blocks].n_items;
    }
    blocks[n_blocks++] = last;
  }
  blocks.resize(n_blocks);
  return blocks;
}

}  // namespace kvbench::lukv
