// What rows of samples say about their cells.
#pragma once

#include <vector>

#include "harness/results/rows.h"

namespace kvbench {

// Linear between the two nearest ranks, as numpy.percentile; `sorted` ascends and is not empty.
double quantile(const std::vector<double>& sorted, double q);

// Median of the values that are not nan; nan when there is none.
double median(std::vector<double> values);

// The cells with what `rows` say about each, the longest length included; rows of other cells are
// ignored.
std::vector<CellRow> derive_cells(const std::vector<CellRow>& cells,
                                  const std::vector<SampleRow>& rows);

}  // namespace kvbench
