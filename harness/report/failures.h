// What failed, and why.
#pragma once

#include <vector>

#include "harness/report/grid.h"
#include "harness/report/join.h"
#include "harness/results/rows.h"

namespace kvbench {

// A line per policy, ratio and task (or isolated measurement) of which something failed: how many
// of how many rows, and the most frequent reason (of several as frequent the first). Without rows
// when nothing failed.
Grid failure_table(const std::vector<SampleRow>& samples, const std::vector<LatencyRow>& latency);
Grid failure_table(const Joined& joined);

}  // namespace kvbench
