// A source's samples several times over: answers that are drawn, or policies that draw, are run
// again with other draws.
#pragma once

#include <cstdint>
#include <memory>

#include "tasks/task.h"

namespace kvbench {

// Sample::id of rollout r is that of the source plus r times this, so that more rollouts leave the
// numbers of those that are there. No source comes near.
inline constexpr int64_t kRolloutStride = 1'000'000'000;

// Which rollout a sample belongs to, from 0.
constexpr int64_t rollout_of(int64_t sample_id) { return sample_id / kRolloutStride; }

// All samples of rollout 0, then all of rollout 1, ... `rollouts` >= 1. A context of every rollout
// stands for itself: what is drawn in its prefill differs too.
std::unique_ptr<SampleSource> with_rollouts(std::unique_ptr<SampleSource> source, int64_t rollouts);

}  // namespace kvbench
