#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/cache_cut/cache_cut.h"

namespace kvbench {

void cache_cut_reference(const CacheCut& op) {
  const int64_t row_bytes = op.head_dim * op.element_bytes;
  for (int64_t h = 0; h < op.n_kv_heads; ++h) {
    const int32_t *begin = op.positions + op.offsets[h], *end = op.positions + op.offsets[h + 1];
    const auto n = static_cast<int32_t>(end - begin);
    std::vector<int32_t> holes, moving;
    for (int32_t row = 0; row < n; ++row) {
      op.source_row[op.offsets[h] + row] = row;
      if (std::find(begin, end, row) == end) holes.push_back(row);
    }
    std::copy_if(begin, end, std::back_inserter(moving), [n](int32_t row) { return row >= n; });
    for (size_t i = 0; i < holes.size(); ++i) {
      op.source_row[op.offsets[h] + holes[i]] = moving[i];
      for (void* rows : {op.keys, op.values}) {
        auto* head = static_cast<char*>(rows) + op.starts[h] * row_bytes;
        std::memcpy(head + holes[i] * row_bytes, head + moving[i] * row_bytes, row_bytes);
      }
    }
    op.lengths[h] = n;
  }
}

}  // namespace kvbench
