#include "tasks/metrics.h"

namespace kvbench {

std::vector<std::string> metric_names() { return Registry<Metric>::instance().names(); }

namespace {

std::unique_ptr<Metric> make_metric(const std::string& metric,
                                    const std::vector<Params::Given>& parameters) {
  Params params("metric " + metric, "", parameters);
  auto made = Registry<Metric>::instance().find(metric).make(params);
  params.finish();
  return made;
}

}  // namespace

double grade_share(const std::string& metric, const Answered& answered,
                   const std::vector<Params::Given>& parameters) {
  return make_metric(metric, parameters)->share(answered);
}

void check_metric(const std::string& metric, const std::vector<Params::Given>& parameters) {
  make_metric(metric, parameters);
}

bool needs_references(const std::string& metric, const std::vector<Params::Given>& parameters) {
  return make_metric(metric, parameters)->needs_references();
}

}  // namespace kvbench
