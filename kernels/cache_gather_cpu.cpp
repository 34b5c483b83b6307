#include <cstring>

#include "kernels/cache_gather.h"

namespace kvbench {

void cache_gather_cpu(const CacheGather& op) {
  const int64_t row_bytes = op.head_dim * op.element_bytes;
  const int64_t n_kept = op.offsets[op.n_kv_heads];
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < n_kept; ++i) {
    int64_t h = 0;
    while (op.offsets[h + 1] <= i) ++h;
    const int64_t to = (op.starts[h] + i - op.offsets[h]) * row_bytes;
    const auto copy = [&](const HeadRows& from, void* out) {
      const int64_t row = h * from.head_stride + op.positions[i] * from.row_stride;
      std::memcpy(static_cast<char*>(out) + to,
                  static_cast<const char*>(from.data) + row * op.element_bytes, row_bytes);
    };
    copy(op.keys, op.out_keys);
    copy(op.values, op.out_values);
  }
}

}  // namespace kvbench
