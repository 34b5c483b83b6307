// Rotary position embedding in the half-split form of the Llama family.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/model/model_config.h"

namespace kvbench {

// theta^(-2i/d), i in [0, d/2), float32 on the CPU, with Llama 3's scaling applied: wavelengths
// longer than original / low_freq_factor are slowed by `factor`, those shorter than original /
// high_freq_factor are left alone, in between interpolated. All in float32, as transformers does.
at::Tensor inverse_frequencies(const ModelConfig& config);

// x [..., heads, d] rotated by cos and sin [..., 1, d/2] (float32): the pair (x_i, x_{i+d/2}) turns
// by its angle. Computed in float32, returned in x's dtype.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace kvbench
