#include "harness/base/paths.h"

#include <cstdlib>

namespace kvbench {

std::filesystem::path project_root() {
  const char* root = std::getenv("KVBENCH_ROOT");
  return root != nullptr && *root != '\0' ? root : KVBENCH_SOURCE_DIR;
}

std::filesystem::path deps_dir() {
  const char* deps = std::getenv("KVBENCH_DEPS");
  return deps != nullptr && *deps != '\0' ? std::filesystem::path(deps) : project_root() / ".deps";
}

std::filesystem::path data_file(const std::filesystem::path& named) {
  std::error_code ignored;
  if (named.is_absolute() || std::filesystem::exists(named, ignored)) return named;
  const auto in_project = project_root() / named;
  return std::filesystem::exists(in_project, ignored) ? in_project : named;
}

}  // namespace kvbench
