// Policies compared with one of them on the same samples.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

// How far every policy's score is from that of policy `against` at the same ratio (or its only one:
// that of the full cache, or of a policy with a budget of its own), over the samples that both
// answered. For each block first all tasks together, each weighing the same, where there are
// several; then each task. Lines that lack one of the tasks are left out of the first. Intervals
// and p-values are clustered by context (comparison.h); the family of Holm's correction, which the
// verdict is by, are the lines of a section. For programs a column "task" tells the sections apart;
// "average" is all together. Throws InputError, with near matches, when there is no such policy.
Table paired_table(const std::vector<Block>& blocks, const std::string& against);

}  // namespace kvbench
