// Cells and samples, block by block.
#pragma once

#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

// A line per cell: score with its interval, bytes, times. Failures and times are shown where there
// are any.
Table cell_table(const std::vector<Block>& blocks);
// Every column of /cells (results/README.md).
Table cell_data(const std::vector<Block>& blocks);

// A line per sample: what was said and how it was graded, long texts cut.
Table sample_table(const std::vector<Block>& blocks);
// Every column of /samples, texts whole.
Table sample_data(const std::vector<Block>& blocks);

}  // namespace kvbench
