// Isolated measurements: times and memory of one policy alone.
#pragma once

#include "harness/report/join.h"
#include "harness/report/table.h"

namespace kvbench {

// One section for each model, machine and number of decode steps; a line per context length, policy
// and ratio: medians over the repeats that did not fail.
Table latency_table(const Joined& joined);

// The same lines with the KV cache's bytes by all three counts, and their peak while prefilling.
Table memory_table(const Joined& joined);

}  // namespace kvbench
