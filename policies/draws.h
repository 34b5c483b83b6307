// Random numbers of scorers. Each is a function of what it is for alone, by a counter-based
// generator (Philox4x32-10, Salmon et al., SC 2011; Random123): a seed gives the same draws in any
// order, batch and number of threads. They are made on the host, the same for every device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "policies/scorer.h"

namespace kvbench {

// One number in (0, 1) for every head and token of the view, by seed, layer, KV head, step and the
// token's position: float64 [H, T] on the CPU. `unified`: all heads have those of head 0.
at::Tensor uniform_draws(const LayerView& layer, uint64_t seed, bool unified = false);

// Drawing tokens without replacement, each with a probability that is its share of the weights
// left (successive sampling, what torch.multinomial does): the k highest keys are k draws in their
// order. key = log w - log(-log u), float32; tokens of weight 0 come last, the lower one first.
// weights: float32 [H, T], not negative; uniform: uniform_draws().
at::Tensor draw_keys(const at::Tensor& weights, const at::Tensor& uniform);

}  // namespace kvbench
