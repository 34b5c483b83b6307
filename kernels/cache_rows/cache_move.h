// Heads of a ragged cache into other buffers, keys and values together: whole heads, as they lie.
#pragma once

#include <span>

#include "kernels/common/ragged_cache.h"
#include "kernels/common/stream.h"

namespace kvbench {

struct CacheMove {
  struct Head {
    int64_t from = 0, to = 0, n_rows = 0;  // its first row in both, and how many
  };

  int64_t row_bytes = 0;
  const void *keys = nullptr, *values = nullptr;     // [rows, d]
  void *out_keys = nullptr, *out_values = nullptr;  // [rows, d]
  std::span<const Head> heads;                       // on the host
};

void cache_move_cpu(const CacheMove& op);

CudaStatus cache_move_cuda(const CacheMove& op, CudaStream stream);

}  // namespace kvbench
