// kernels/window_scores/window_scores.h as a LibTorch operator, torch.ops.kvbench.window_scores.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

namespace kvbench {

// Of the last queries [Hq, W, d] and keys [H, T, d]: float32 [H, T - W], or [Hq, T - W] where
// `reduce` is "none". pooling: "avg" or "max" of `kernel` neighbours, odd; order: "pool_first" or
// "group_first"; reduce over the GQA group: "mean", "max", "sum" or "none".
at::Tensor window_scores(const at::Tensor& queries, const at::Tensor& keys, double scale,
                         std::string_view pooling, int64_t kernel, std::string_view order,
                         std::string_view reduce);

}  // namespace kvbench
