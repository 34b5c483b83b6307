// How many entries of each row a selection over several rows at once takes: heads of a layer, or of
// all layers, that compete for one budget (AdaKV, arXiv 2407.11550).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/stream.h"

namespace kvbench {

// The `total` highest of all scores taken as one list, of which the `safe` highest of each row come
// first. Ties go to the lower row. n_rows * safe <= total <= n_rows * n_columns. With a NaN among
// the scores the counts are some of that sum.
struct FlattenedCounts {
  int64_t n_rows = 0, n_columns = 0;
  int64_t total = 0, safe = 0;
  const float* scores = nullptr;  // [n_rows, n_columns]
  int32_t* counts = nullptr;      // [n_rows]
  void* workspace = nullptr;      // of the CUDA kernel
};

size_t flattened_counts_workspace_bytes(const FlattenedCounts& op);

// One stable sort of all.
void flattened_counts_reference(const FlattenedCounts& op);

void flattened_counts_cpu(const FlattenedCounts& op);

CudaStatus flattened_counts_cuda(const FlattenedCounts& op, CudaStream stream);

}  // namespace kvbench
