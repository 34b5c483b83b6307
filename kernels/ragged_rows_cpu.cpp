#include <cstring>

#include "kernels/ragged_rows.h"

namespace kvbench {

void ragged_gather_cpu(const RaggedGather& op) {
  const int64_t row_bytes = op.head_dim * op.element_bytes;
  const auto* source = static_cast<const char*>(op.source);
  auto* out = static_cast<char*>(op.out);
  for (int64_t h = 0; h < op.n_kv_heads; ++h) {
    const char* head = source + h * op.n_rows * row_bytes;
    char* target = out + op.starts[h] * row_bytes;
    for (int64_t i = op.offsets[h]; i < op.offsets[h + 1]; ++i, target += row_bytes) {
      std::memcpy(target, head + op.kept[i] * row_bytes, static_cast<size_t>(row_bytes));
    }
  }
}

void ragged_append_cpu(const RaggedAppend& op) {
  const auto& [S, m, Hq, H, d] = op.shape;
  const int64_t row_bytes = d * op.element_bytes;
  const auto* source = static_cast<const char*>(op.source);
  for (int64_t s = 0; s < S; ++s) {
    for (int64_t h = 0; h < H; ++h) {
      const int64_t first = op.starts[s * H + h] + op.lengths[s * H + h] - m;
      auto* target = static_cast<char*>(op.buffers[s]) + first * row_bytes;
      for (int64_t i = 0; i < m; ++i) {
        std::memcpy(target + i * row_bytes, source + ((s * m + i) * H + h) * row_bytes,
                    static_cast<size_t>(row_bytes));
      }
    }
  }
}

}  // namespace kvbench
