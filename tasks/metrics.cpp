#include "tasks/metrics.h"

namespace kvbench {

std::vector<std::string> metric_names() { return Registry<Metric>::instance().names(); }

double grade_share(const std::string& metric, const Answered& answered,
                   const std::vector<Params::Given>& given) {
  Params params("metric " + metric, "", given);
  const auto made = Registry<Metric>::instance().find(metric).make(params);
  params.finish();
  return made->share(answered);
}

double grade(const std::string& metric, const std::string& prediction,
             const std::vector<std::string>& references) {
  return 100.0 * grade_share(metric, {prediction, references});
}

}  // namespace kvbench
