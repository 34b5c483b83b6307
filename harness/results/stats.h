// Means and intervals of scores.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/results/rows.h"

namespace kvbench {

struct Interval {
  double mean, low, high;  // nan = cannot tell
};

// Mean of `values` and its 95 % interval by the percentile bootstrap (2000 resamples, fixed seed),
// resampling whole clusters: values[i] belongs to clusters[i], the context it was measured on,
// because answers about one context are not independent. The order of the values does not matter.
// Fewer than two clusters leave the interval nan, no values the mean too.
Interval clustered_mean(std::span<const double> values, std::span<const std::string> clusters);

// Linear between the two nearest ranks, as numpy.percentile; `sorted` ascends and is not empty.
double quantile(const std::vector<double>& sorted, double q);

// Median of the values that are not nan; nan when there is none.
double median(std::vector<double> values);

// The cells with what `rows` say about each; rows of other cells are ignored.
std::vector<CellRow> derive_cells(const std::vector<CellRow>& cells,
                                  const std::vector<SampleRow>& rows);

}  // namespace kvbench
