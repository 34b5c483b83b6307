// kernels/select_top/select_top.h as a LibTorch operator, torch.ops.kvbench.top_positions.
#pragma once

#include <ATen/core/Tensor.h>

#include <tuple>

namespace kvbench {

// Of scores float32 [H, T] and counts int32 [H], `at_most` together: positions int32 [at_most],
// offsets int32 [H + 1] and invalid int32 [H], all on the scores' device. Throws c10::Error when
// shapes, dtypes or devices do not fit.
std::tuple<at::Tensor, at::Tensor, at::Tensor> top_positions(const at::Tensor& scores,
                                                             const at::Tensor& counts,
                                                             int64_t at_most, int64_t sink,
                                                             int64_t recent);

}  // namespace kvbench
