// Scores by policy, ratio and task.
#pragma once

#include <vector>

#include "harness/report/blocks.h"
#include "harness/report/grid.h"

namespace kvbench {

// One table a block: a line per policy and ratio, a column per task, and the average over the
// tasks, each weighing the same ("-" unless every task is there). "n" are the graded samples of a
// task, "5-10" where tasks differ. "vs full" is the mean difference to the full cache over the
// samples that both answered; their number stands beside it where it is not n. The verdict on it
// is that of comparison.h, the lines of the table being the family.
std::vector<Grid> summary_grids(const std::vector<Block>& blocks);

// The same as a long table with intervals, for programs and for the page: a line per block, policy,
// ratio and task; then one of task "average", whose n are sums over the tasks, n_contexts the
// different ones; verdict and p_holm are its alone.
Table summary_table(const std::vector<Block>& blocks);

}  // namespace kvbench
