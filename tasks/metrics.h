// Graders of predictions, by name.
#pragma once

#include <string>
#include <vector>

#include "harness/base/params.h"
#include "tasks/metric.h"

namespace kvbench {

std::vector<std::string> metric_names();

// Score of one prediction as the benchmarks' own code computes it, 0..1 in full precision. Throws
// InputError with near matches for an unknown metric or parameter, and as Metric::share does.
double grade_share(const std::string& metric, const Answered& answered,
                   const std::vector<Params::Given>& parameters = {});

// Throws InputError for parameters that the metric does not have or take.
void check_metric(const std::string& metric, const std::vector<Params::Given>& parameters);

// Metric::needs_references().
bool needs_references(const std::string& metric, const std::vector<Params::Given>& parameters);

}  // namespace kvbench
