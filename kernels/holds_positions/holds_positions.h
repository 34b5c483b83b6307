// Which of some tokens a layer's heads keep.
#pragma once

#include <cstdint>

#include "kernels/common/stream.h"

namespace kvbench {

// out[h][w] = 1 where wanted[w] is among positions[offsets[h]] ... positions[offsets[h + 1] - 1],
// each there once and in any order, else 0.
struct HoldsPositions {
  int64_t n_heads = 0, n_positions = 0, n_wanted = 0;
  const int32_t* positions = nullptr;  // [n_positions]; those past offsets[H] mean nothing
  const int32_t* offsets = nullptr;    // [H + 1]
  const int32_t* wanted = nullptr;     // [n_wanted], ascending
  uint8_t* out = nullptr;              // [H, n_wanted]
};

void holds_positions_cpu(const HoldsPositions& op);

CudaStatus holds_positions_cuda(const HoldsPositions& op, CudaStream stream);

}  // namespace kvbench
