// A unit of work of attention over the ragged cache on the CPU.
#pragma once

#include <limits>

#include "kernels/cache_attention/cache_attention.h"

namespace kvbench {

// Query rows of one (sequence, KV head) against one split of its keys.
struct Unit {
  int64_t sequence, kv_head, first_key, end_key;
};

// What a unit makes of its R query rows. No row's maximum is infinite, which the difference of a
// masked score with it would not bear.
struct Partial {
  static constexpr float kLowest = -std::numeric_limits<float>::max();
  static constexpr float kMasked = -std::numeric_limits<float>::infinity();

  float* largest;  // [R], of the scores before they are scaled
  float* total;    // [R], sum of weights
  float* sum;      // [R, d], weighted sum of values
};

// The query rows of a KV head: row g * m + i is token i's of the group's query head g.
struct QueryRows {
  explicit QueryRows(const CacheAttention& op)
      : m(op.n_tokens),
        n_heads(op.n_heads),
        group(op.n_heads / op.cache.n_kv_heads),
        size(group * m) {}

  // Which row of [S, m, Hq] it is.
  int64_t place(const Unit& unit, int64_t row) const {
    return (unit.sequence * m + row % m) * n_heads + unit.kv_head * group + row / m;
  }

  int64_t m, n_heads, group, size;
};

}  // namespace kvbench
