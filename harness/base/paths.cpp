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

}  // namespace kvbench
