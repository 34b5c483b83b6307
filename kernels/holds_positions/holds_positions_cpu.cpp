#include <algorithm>

#include "kernels/holds_positions/holds_positions.h"

namespace kvbench {

void holds_positions_cpu(const HoldsPositions& op) {
  std::fill_n(op.out, op.n_heads * op.n_wanted, uint8_t{0});
  if (op.n_wanted == 0) return;
  const int32_t *end = op.wanted + op.n_wanted, lowest = op.wanted[0], highest = end[-1];
  for (int64_t h = 0; h < op.n_heads; ++h) {
    for (int32_t i = op.offsets[h]; i < op.offsets[h + 1]; ++i) {
      const int32_t position = op.positions[i];
      if (position < lowest || position > highest) continue;
      const int32_t* found = std::lower_bound(op.wanted, end, position);
      if (*found == position) op.out[h * op.n_wanted + (found - op.wanted)] = 1;
    }
  }
}

}  // namespace kvbench
