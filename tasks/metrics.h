// Graders of predictions. Scores are 0..100.
#pragma once

#include <string>
#include <vector>

namespace kvbench {

std::vector<std::string> metric_names();

// Score of one prediction. Throws InputError with near matches for an unknown metric, and when
// `references` is empty.
double grade(const std::string& metric, const std::string& prediction,
             const std::vector<std::string>& references);

}  // namespace kvbench
