// How many samples an interval of a wanted width needs.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"
#include "harness/results/intervals.h"

namespace kvbench {

using IntervalOf = Interval (*)(const Estimate&);  // score_interval or difference_interval

// The fewest contexts whose interval has a half-width (half of high - low) of at most `width` > 0
// points, if they are like the `n_contexts` behind `estimate`: variance, degrees of freedom and
// size are taken to go with their number. nan where the estimate cannot tell.
double contexts_needed(const Estimate& estimate, int64_t n_contexts, double width,
                       IntervalOf interval);

// A line per policy and ratio for the average over several tasks, then for each task: the
// half-widths that the samples give to the score and to the difference from policy `against`
// (empty: the full cache), and how many contexts, and samples at as many a context, a half-width of
// `width` points needs. Throws InputError, with near matches, when there is no such policy.
Table power_table(const std::vector<Block>& blocks, const std::string& against, double width);

}  // namespace kvbench
