#include <cstring>

#include "kernels/cache_rows/cache_append.h"
#include "kernels/common/team.h"

namespace kvbench {

namespace {

void append(const CacheAppend& op) {
  const RaggedCache& cache = op.cache;
  const int64_t bytes = element_bytes(cache.dtype), row_bytes = cache.head_dim * bytes;
  const int64_t n_heads = cache.n_kv_heads;
#pragma omp for schedule(static)
  for (int64_t head = 0; head < cache.n_sequences * n_heads; ++head) {
    const int64_t s = head / n_heads, h = head % n_heads;
    const int64_t first = cache.starts[head] + cache.lengths[head] - op.n_tokens;
    for (int64_t i = 0; i < op.n_tokens; ++i) {
      const auto copy = [&](const TokenRows& from, void* to) {
        const int64_t row = s * from.sequence_stride + i * from.token_stride + h * from.head_stride;
        std::memcpy(static_cast<char*>(to) + (first + i) * row_bytes,
                    static_cast<const char*>(from.data) + row * bytes, row_bytes);
      };
      copy(op.keys, cache.keys);
      copy(op.values, cache.values);
    }
  }
}

}  // namespace

void cache_append_cpu(const CacheAppend& op) {
  on_team(op.n_tokens > 1, [op] { append(op); });
}

}  // namespace kvbench
