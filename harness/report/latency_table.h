// Isolated measurements: times and memory of one policy alone.
#pragma once

#include "harness/report/join.h"
#include "harness/report/table.h"

namespace kvbench {

// One section for each model, machine, number of decode steps and of sequences that decode
// together; a line per context length, policy and ratio: medians over the repeats that did not
// fail. The floor is the time in which a step's bytes can be read, and stands beside TPOT with its
// share of it.
Table latency_table(const Joined& joined);

// The same lines with the KV cache's bytes by all three counts, and their peak while prefilling.
Table memory_table(const Joined& joined);

}  // namespace kvbench
