// LongBench's own numbers of a block: set scores, averages and LongBench-E's buckets.
#pragma once

#include <vector>

#include "harness/report/blocks.h"
#include "harness/report/table.h"

namespace kvbench {

// A row for each policy and ratio: the scores of the sets as LongBench's eval.py rounds them,
// avg_16 (mean of the papers' 16 sets) and avg_categories (mean of the six categories' means, of
// the English and code sets; _zh of the Chinese and code ones). An average of which a set is
// missing is nothing. Blocks without LongBench have no section.
Table longbench_table(const std::vector<Block>& blocks);

// Of the LongBench-E sets (NAME_e) the means of the buckets 0-4k, 4-8k and 8k+, by the items' own
// `length`; a bucket without items is nothing.
Table longbench_e_table(const std::vector<Block>& blocks);

}  // namespace kvbench
