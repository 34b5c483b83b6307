// Policies compared with one of them on the same samples.
#pragma once

#include <string>
#include <vector>

#include "harness/report/grid.h"
#include "harness/results/rows.h"
#include "harness/results/stats.h"

namespace kvbench {

// Mean of the groups' means and its 95 % interval by the percentile bootstrap (2000 resamples,
// fixed seed), resampling within each group. Every group must have a value; a group of a single one
// leaves the interval nan.
Interval stratified_mean(const std::vector<std::vector<double>>& groups);

// How far every policy's score is from that of policy `against` at the same ratio (`against` may be
// the full cache), over the samples that both answered. First a table of all tasks and lengths
// together, each weighing the same, where there are several; then one for each. Lines that lack one
// of the tasks are left out of the first. Several questions about one context count as one.
// Throws InputError, with near matches, when there is no such policy.
std::vector<Grid> paired_tables(const std::vector<SampleRow>& rows, const std::string& against);

}  // namespace kvbench
