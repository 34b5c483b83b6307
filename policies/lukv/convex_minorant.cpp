#include "policies/lukv/convex_minorant.h"

#include <algorithm>

namespace kvbench::lukv {

std::vector<Segment> convex_minorant(std::span<const float> marginals) {
  struct Block {
    double sum, tokens;
  };
  std::vector<Block> blocks(marginals.size());
  size_t n_blocks = 0;
  for (const float marginal : marginals) {
    Block last{marginal, 1};
    // A block that is no steeper than the one before it joins it; means compared without division.
    while (n_blocks > 0 &&
           blocks[n_blocks - 1].sum * last.tokens >= last.sum * blocks[n_blocks - 1].tokens) {
      --n_blocks;
      last.sum += blocks[n_blocks].sum;
      last.tokens += blocks[n_blocks].tokens;
    }
    blocks[n_blocks++] = last;
  }
  std::vector<Segment> segments;
  segments.reserve(n_blocks);
  for (const Block& block : std::span(blocks).first(n_blocks)) {
    segments.push_back(
        {static_cast<float>(block.sum / block.tokens), static_cast<int32_t>(block.tokens)});
  }
  return segments;
}

double loss_at(std::span<const Segment> curve, int64_t n_discarded) {
  double loss = 0;
  for (const Segment& segment : curve) {
    const auto taken = std::min<int64_t>(segment.tokens, n_discarded);
    loss += static_cast<double>(segment.slope) * static_cast<double>(taken);
    n_discarded -= taken;
  }
  return loss;
}

}  // namespace kvbench::lukv
