// Means and intervals of scores.
#pragma once

#include <string>
#include <vector>

#include "harness/results/rows.h"

namespace kvbench {

struct Interval {
  double mean, low, high;  // nan = cannot tell
};

// Values of one task: values[i] was measured on the context contexts[i].
struct Stratum {
  std::vector<double> values;
  std::vector<std::string> contexts;
};

// Mean over the strata of their means, each weighing the same, and its 95 % interval by the
// percentile bootstrap (2000 resamples, fixed seed): whole contexts are resampled within each
// stratum, because answers about one context are not independent. The order of values does not
// matter. A stratum of one context leaves the interval nan, one of none (or no stratum) the mean
// too.
Interval stratified_mean(const std::vector<Stratum>& strata);

// Linear between the two nearest ranks, as numpy.percentile; `sorted` ascends and is not empty.
double quantile(const std::vector<double>& sorted, double q);

// Median of the values that are not nan; nan when there is none.
double median(std::vector<double> values);

// The cells with what `rows` say about each, the longest length included; rows of other cells are
// ignored.
std::vector<CellRow> derive_cells(const std::vector<CellRow>& cells,
                                  const std::vector<SampleRow>& rows);

}  // namespace kvbench
