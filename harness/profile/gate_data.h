// What gates are trained on: the hidden states of contexts and a scorer's opinion of their tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

#include "harness/base/progress.h"
#include "harness/config/gate_config.h"
#include "harness/model/decoder.h"
#include "harness/profile/contexts.h"
#include "policies/policy.h"

namespace kvbench {

// Writes to `folder`, for each layer l, with the tokens of all contexts one after another:
//   hidden.l  bfloat16 [N, D]: LayerView::hidden_states
//   target.l  float32 [N, H]: what the gates should say, of the target's scores, an oracle's being
//             the sum over the questions, either the share of the context's L H T scores that are
//             lower (and half of its own place; ties by place), or the scores themselves
// `frame` stands around each context. Context i is asked with the seed config.seed + 1000 i. Throws
// InputError where scores that should do themselves do not lie in [0, 1], untrained tokens aside
// (gate_training.h).
void write_gate_data(const GateConfig& config, const Decoder& model, const Policy& target,
                     const std::vector<ProfileContext>& contexts, const ContextFrame& frame,
                     const std::filesystem::path& folder, const Advance& advance);

}  // namespace kvbench
