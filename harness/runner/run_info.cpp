#include "harness/runner/run_info.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <array>
#include <cstdio>
#include <memory>

#include "harness/base/paths.h"
#include "harness/model/model.h"
#include "harness/runner/device.h"

namespace kvbench {
std::string git_commit() {
  const std::string command =
      fmt::format("git -C '{}' describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null",
                  project_root().string());
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), &::pclose);
  std::array<char, 128> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "unknown";
  std::string commit(line.data());
  while (!commit.empty() && commit.back() == '\n') commit.pop_back();
  return commit;
}

std::string library_versions() {
  return fmt::format("torch {}\nhdf5 {}.{}.{}\n", TORCH_VERSION, H5_VERS_MAJOR, H5_VERS_MINOR,
                     H5_VERS_RELEASE);
}

RunInfo describe_run(const SweepConfig& config, c10::Device device, at::ScalarType dtype) {
  RunInfo info;
  info.config = resolved_yaml(config);
  info.model_hash = model_hash(config.model.path);
  info.tokenizer_hash = tokenizer_hash(config.model.path);
  info.git_commit = git_commit();
  info.model = fmt::format("{} ({})", config.model.name, dtype_name(dtype));
  for (const auto& task : config.tasks) info.seeds += fmt::format("{} {}\n", task.task, task.seed);
  info.device = device.str();
  info.cpu_name = device_name(at::kCPU);
  info.gpu_name = device.is_cuda() ? device_name(device) : "";
  info.threads = at::get_num_threads();
  info.versions = library_versions();
  return info;
}

}  // namespace kvbench
