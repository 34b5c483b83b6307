#include "tasks/metrics.h"

#include "harness/base/error.h"
#include "tasks/ruler/string_match.h"

namespace kvbench {

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const auto& metric : ruler::string_match_metrics()) names.push_back(metric.name);
  return names;
}

double grade_share(const std::string& metric, const std::string& prediction,
                   const std::vector<std::string>& references) {
  const ruler::StringMatch& match = ruler::find_string_match(metric);
  if (references.empty()) throw_input_error("{}: there is no reference to compare with", metric);
  return ruler::hit_share(match, prediction, references);
}

double grade(const std::string& metric, const std::string& prediction,
             const std::vector<std::string>& references) {
  return 100.0 * grade_share(metric, prediction, references);
}

}  // namespace kvbench
