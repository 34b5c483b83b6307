#include "policies/lukv/convex_minorant.h"

#include <algorithm>

#include "policies/lukv/isotonic.h"

namespace kvbench::lukv {

std::vector<Segment> convex_minorant(std::span<const float> marginals) {
  const auto blocks = isotonic_blocks(marginals.size(), [&](size_t i) {
    return Block{marginals[i], 1, 1};
  });
  std::vector<Segment> segments;
  segments.reserve(blocks.size());
  for (const Block& block : blocks) {
    segments.push_back(
        {static_cast<float>(block.sum / block.weight), static_cast<int32_t>(block.n_items)});
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
