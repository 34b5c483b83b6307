// What decoding was like beside the score: entries attended to, likelihood, spread over rollouts.
#pragma once

#include "harness/report/blocks.h"
#include "harness/report/table.h"

namespace kvbench {

// A line per policy, ratio and task: the mean and the most entries that a KV head attends to in a
// pass; the score and, of what was said, the negative log-likelihood under the full cache (nats a
// token), each with its 95 % interval (contexts are the units; Student's t for likelihoods);
// divergence from and agreement with the full cache; standard deviations over rollouts of their
// means.
Table decoding_table(const std::vector<Block>& blocks);

// Whether any row has what other tables do not show: a likelihood, a divergence or a rollout.
bool has_decoding(const std::vector<Block>& blocks);

}  // namespace kvbench
