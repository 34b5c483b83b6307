// Graders of predictions, by name.
#pragma once

#include <string>
#include <vector>

#include "tasks/metric.h"

namespace kvbench {

std::vector<std::string> metric_names();

// Score of one prediction as the benchmarks' own code computes it, 0..1 in full precision. Throws
// InputError with near matches for an unknown metric or parameter, and as Metric::share does.
double grade_share(const std::string& metric, const Answered& answered,
                   const std::vector<Params::Given>& given = {});

// The same times 100: what results files hold.
double grade(const std::string& metric, const std::string& prediction,
             const std::vector<std::string>& references);

}  // namespace kvbench
