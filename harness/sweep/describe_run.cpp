#include "harness/sweep/describe_run.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/base/hash.h"
#include "harness/base/paths.h"
#include "harness/model/device.h"
#include "harness/model/open_model.h"
#include "harness/model/provenance.h"

namespace kvbench {
namespace {

// The project's own files are named from its root, wherever that lies.
std::string in_project(std::string lines) {
  const std::string root = project_root().string() + "/";
  for (size_t at = 0; (at = lines.find(root, at)) != std::string::npos;)
    lines.erase(at, root.size());
  return lines;
}

}  // namespace

RunInfo describe_run(const SweepConfig& config, const OpenModel& model, const PromptFormat& format,
                     const std::vector<Policy>& policies, const StartProgress& start_progress) {
  constexpr int kNumerics = 6;  // raised when our arithmetic changes what answers can be
  RunInfo info;
  info.model_hash = model_hash(config.model.path, start_progress);
  info.tokenizer_hash = tokenizer_hash(config.model.path, format.tokenizer().from_other_files());
  info.prompt_hash = format.hash();
  info.end_tokens = fmt::format("{}", format.end_tokens(model.config));
  info.dtype = dtype_name(model.dtype);
  info.numerics = fmt::format(
      "{} {}", c10::DeviceTypeName(model.device.type(), /*lower_case=*/true), kNumerics);
  info.config = resolved_yaml(config);
  if (config.chat_template == ChatTemplateUse::kAuto) {
    info.config += fmt::format("# chat_template auto: {}\n", template_text(format));
  }
  for (const auto& policy : policies) {
    info.file_hashes += in_project(policy.file_hashes());
    const std::string plugins = policy.plugin_hashes();
    if (info.plugin_hashes.find(plugins) == std::string::npos) info.plugin_hashes += plugins;
  }
  info.git_commit = git_commit();
  info.model = config.model.name;
  for (const auto& task : config.tasks) info.seeds += fmt::format("{} {}\n", task.task, task.seed);
  info.device = model.device.str();
  info.cpu_name = device_name(at::kCPU);
  info.gpu_name = model.device.is_cuda() ? device_name(model.device) : "";
  info.threads = at::get_num_threads();
  info.versions = library_versions();
  return info;
}

std::string data_line(const SampleGroup& group) {
  return fmt::format("{}/{} {} {} {}\n", group.request.name, group.source, group.compress,
                     group.samples->size(), group.data_hash);
}

}  // namespace kvbench
