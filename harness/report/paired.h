// Policies compared with one of them on the same samples.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"
#include "harness/results/stats.h"

namespace kvbench {

// What a cell scored, and how far that is from another cell's score, on the samples that both
// answered.
struct Pairs {
  Stratum scores, differences;
};
Pairs pair_up(const Measured& mine, const Measured& theirs);

// How far every policy's score is from that of policy `against` at the same ratio (or its only one:
// that of the full cache, or of a policy with a budget of its own), over the samples that both
// answered. For each block first all tasks together, each weighing the same, where there are
// several; then each task. Lines that lack one of the tasks are left out of the first. The interval
// is the bootstrap over contexts (results/stats.h): several questions about one context count as
// one. For programs a column "task" tells the sections apart; "average" is all together.
// Throws InputError, with near matches, when there is no such policy.
Table paired_table(const std::vector<Block>& blocks, const std::string& against);

}  // namespace kvbench
