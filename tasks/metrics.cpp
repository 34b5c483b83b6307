#include "tasks/metrics.h"

namespace kvbench {

std::vector<std::string> metric_names() { return Registry<Metric>::instance().names(); }

double grade_share(const std::string& metric, const Answered& answered) {
  Params defaults("metric " + metric, "", {});
  return Registry<Metric>::instance().find(metric).make(defaults)->share(answered);
}

double grade(const std::string& metric, const std::string& prediction,
             const std::vector<std::string>& references) {
  return 100.0 * grade_share(metric, {prediction, references});
}

}  // namespace kvbench
