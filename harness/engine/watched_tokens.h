// Which of some tokens a cut keeps.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "policies/kept.h"

namespace kvbench {

// 1 where a KV head keeps a token of `watched` (positions, each once, at least one): uint8
// [H, watched] where the selection is, without waiting for it.
at::Tensor kept_of(const Selection& kept, const std::vector<int64_t>& watched);

// The same by LibTorch's operators, as on every device but the CPU.
at::Tensor kept_of_by_operators(const Selection& kept, const std::vector<int64_t>& watched);

}  // namespace kvbench
