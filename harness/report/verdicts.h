// A run held against the figures of a published table.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"
#include "harness/report/targets.h"
#include "harness/results/intervals.h"

namespace kvbench {

// How a score compares with its target, [low, high] being the run's own 95 % interval
// (results/intervals.h), v the target's value and t its tolerance:
//   "agrees"       [low, high] lies within [v - t, v + t]: equivalence, by two one-sided tests
//   "differs"      [low, high] lies outside [v - t - e, v + t + e]
//   "cannot tell"  neither: more samples would tell
//   "no target"    v is not known
// e is the target's own sampling error: 0 where its samples are the run's or their number n is not
// known, else 1.96 sqrt(v (100 - v) / n), the most that scores of 0..100 with the mean v can have.
// Of a sign, [low, high] being the interval of the difference: "agrees" where it lies on that side
// of 0, "differs" where it lies on the other.
std::string verdict(const Interval& run, const Target& target);

struct Verdicts {
  Table table;
  std::vector<std::string> remarks;  // counts, and of each block what the full cache says
};

// For each block that a target is about a section: the full cache first, then the others in the
// file's order. Of a group the mean over its tasks, where all of them ran. Targets that ran in no
// block come last, as "not run". Where the full cache differs from one of its targets, model,
// prompt or data are not those of the table: every other verdict of that block is "not trusted".
Verdicts judge(const std::vector<Block>& blocks, const std::vector<Target>& targets);

}  // namespace kvbench
