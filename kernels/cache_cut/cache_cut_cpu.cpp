#include <algorithm>
#include <cstring>

#include "kernels/cache_cut/cache_cut.h"

namespace kvbench {
namespace {

// Where each of the n rows comes from.
void find_sources(const int32_t* kept, int32_t n, int32_t* source_row) {
  const int32_t* staying = kept;
  const int32_t* moving = std::lower_bound(kept, kept + n, n);
  for (int32_t row = 0; row < n; ++row) {
    // Behind the last row that stays is one that moves, which equals no row below n.
    source_row[row] = *staying == row ? *staying++ : *moving++;
  }
}

}  // namespace

void cache_cut_cpu(const CacheCut& op) {
  const int64_t row_bytes = op.head_dim * op.element_bytes;
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t h = 0; h < op.n_kv_heads; ++h) {
      const int32_t first = op.offsets[h], n = op.offsets[h + 1] - first;
      find_sources(op.positions + first, n, op.source_row + first);
      op.lengths[h] = n;
    }
    // Rows are read behind the new ends and written below them, so in any order.
#pragma omp for schedule(static)
    for (int64_t i = 0; i < op.offsets[op.n_kv_heads]; ++i) {
      int64_t h = 0;
      while (op.offsets[h + 1] <= i) ++h;
      const int64_t row = i - op.offsets[h], source = op.source_row[i];
      if (source == row) continue;
      for (void* rows : {op.keys, op.values}) {
        auto* head = static_cast<char*>(rows) + op.starts[h] * row_bytes;
        std::memcpy(head + row * row_bytes, head + source * row_bytes, row_bytes);
      }
    }
  }
}

}  // namespace kvbench
