#include "harness/sweep/describe_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "harness/model/device.h"
#include "harness/model/open_model.h"
#include "harness/model/provenance.h"

namespace kvbench {

RunInfo describe_run(const SweepConfig& config, const OpenModel& model) {
  RunInfo info;
  info.config = resolved_yaml(config);
  info.model_hash = model_hash(config.model.path);
  info.tokenizer_hash = tokenizer_hash(config.model.path);
  info.git_commit = git_commit();
  info.model = fmt::format("{} ({})", config.model.name, dtype_name(model.dtype));
  for (const auto& task : config.tasks) info.seeds += fmt::format("{} {}\n", task.task, task.seed);
  info.device = model.device.str();
  info.cpu_name = device_name(at::kCPU);
  info.gpu_name = model.device.is_cuda() ? device_name(model.device) : "";
  info.threads = at::get_num_threads();
  info.versions = library_versions();
  return info;
}

}  // namespace kvbench
