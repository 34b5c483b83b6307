#include <cstring>

#include "kernels/cache_rows/cache_move.h"

namespace kvbench {

void cache_move_cpu(const CacheMove& op) {
  const auto n = static_cast<int64_t>(op.heads.size());
#pragma omp parallel for schedule(dynamic)
  for (int64_t h = 0; h < n; ++h) {
    const CacheMove::Head& head = op.heads[h];
    const auto move = [&](const void* from, void* to) {
      std::memcpy(static_cast<char*>(to) + head.to * op.row_bytes,
                  static_cast<const char*>(from) + head.from * op.row_bytes,
                  head.n_rows * op.row_bytes);
    };
    move(op.keys, op.out_keys);
    move(op.values, op.out_values);
  }
}

}  // namespace kvbench
