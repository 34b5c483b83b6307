#include "tasks/metrics.h"

namespace kvbench {

std::vector<std::string> metric_names() { return Registry<Metric>::instance().names(); }

double grade_share(const std::string& metric, const Answered& answered,
                   const std::vector<Params::Given>& parameters) {
  Params params("metric " + metric, "", parameters);
  const auto made = Registry<Metric>::instance().find(metric).make(params);
  params.finish();
  return made->share(answered);
}

}  // namespace kvbench
