#include "policies/lukv/exact_allocation.h"

#include <algorithm>
#include <limits>

namespace kvbench::lukv {

std::vector<double> exact_losses(std::span<const std::vector<double>> curves, int64_t max_discards,
                                 int64_t max_total) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr int64_t kBlock = 1024;  // of totals: what is read and written stays in the first cache
  std::vector<double> best(static_cast<size_t>(max_total) + 1, kInfinity);
  best[0] = 0;
  int64_t reach = 0;  // the heads so far can give up this many tokens
  for (const auto& losses : curves) {
    const int64_t most = std::min<int64_t>(max_discards, static_cast<int64_t>(losses.size()) - 1);
    const int64_t next_reach = std::min(reach + most, max_total);
    std::vector<double> next(best.size(), kInfinity);
    for (int64_t block = 0; block <= next_reach; block += kBlock) {
      const int64_t block_end = std::min(block + kBlock, next_reach + 1);
      for (int64_t d = std::max<int64_t>(0, block - reach); d <= most; ++d) {
        const double loss = losses[d];
        const int64_t end = std::min(block_end, reach + d + 1);
        const double* from = best.data() - d;
        for (int64_t x = std::max(block, d); x < end; ++x) {
          next[x] = std::min(next[x], from[x] + loss);
        }
      }
    }
    best.swap(next);
    reach = next_reach;
  }
  return best;
}

}  // namespace kvbench::lukv
