// The next token of a greedy or sampled continuation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/base/random.h"

namespace kvbench {

// The most likely id by each row of logits, float32 [S, vocab]. Ties go to the lower id (torch's
// argmax leaves that open). Absent where any logit of the row is NaN.
std::vector<std::optional<int64_t>> most_likely(const at::Tensor& logits);

// Drawn from softmax(logits / temperature), the same on every platform for the same logits and
// random state; temperature 0 takes the most likely. logits: float32 [vocab]. Throws
// std::runtime_error for a NaN.
int64_t sample_token(const at::Tensor& logits, double temperature, Random& random);

}  // namespace kvbench
