// Greedy decoding: the token of the highest logit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/common/stream.h"

namespace kvbench {

// The column of each row's highest logit, the lowest one of several, or -1 where a logit is NaN.
struct Argmax {
  int64_t n_rows = 0, n_columns = 0;  // at least one column
  const float* logits = nullptr;      // [n_rows, n_columns]
  int64_t* ids = nullptr;             // [n_rows]
  void* workspace = nullptr;          // of the CUDA kernel, aligned to 8 bytes
};

size_t argmax_workspace_bytes(const Argmax& op);

void argmax_reference(const Argmax& op);

void argmax_cpu(const Argmax& op);

CudaStatus argmax_cuda(const Argmax& op, CudaStream stream);

}  // namespace kvbench
