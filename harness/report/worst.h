// The samples that a policy fails worst, with what was said.
#pragma once

#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

// A sample and what the full cache said to it; null where it has not answered.
struct WorstSample {
  const SampleRow *row, *full;
};

// For each policy and ratio of a block, by name, up to three samples: those on which it lost most
// points to the full cache (without one: those with the lowest score), failed samples first; a
// sample without a loss is not shown. Equal losses stay in the order of the file.
std::vector<WorstSample> worst_of(const Block& block);

// They as tables, one a block that has any. Beside the prediction stand that of the full cache and
// the references, each cut to 300 bytes.
std::vector<Grid> worst_samples(const std::vector<Block>& blocks);

}  // namespace kvbench
