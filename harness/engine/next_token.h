// The next token of a greedy or sampled continuation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "harness/base/random.h"
#include "tasks/protocol.h"

namespace kvbench {

// The most likely id by each row of logits, float32 [S, vocab]. Ties go to the lower id (torch's
// argmax leaves that open). Absent where any logit of the row is NaN.
std::vector<std::optional<int64_t>> most_likely(const at::Tensor& logits);

// Drawn from softmax(logits / temperature), of its most likely ids whose probabilities together
// reach top_p (Holtzman et al., ICLR 2020; of equal ones the lower ids), the same on every platform
// for the same logits and random state; temperature 0 takes the most likely. logits: float32
// [vocab]. Throws std::runtime_error for a NaN.
int64_t sample_token(const at::Tensor& logits, const Sampling& sampling, Random& random);

}  // namespace kvbench
