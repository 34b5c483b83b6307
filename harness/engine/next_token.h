// The next token of a sampled or greedy continuation.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/base/random.h"

namespace kvbench {

// Drawn from softmax(logits / temperature), the same on every platform for the same logits and
// random state; temperature 0 takes the largest (ties: lower id). logits: float32 [vocab]. Throws
// std::logic_error for a NaN.
int64_t sample_token(const at::Tensor& logits, double temperature, Random& random);

}  // namespace kvbench
