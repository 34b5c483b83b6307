#include "harness/base/paths.h"

#include <cstdlib>

#include "harness/base/error.h"

namespace kvbench {

std::filesystem::path project_root() {
  const char* root = std::getenv("KVBENCH_ROOT");
  return root != nullptr && *root != '\0' ? root : KVBENCH_SOURCE_DIR;
}

std::filesystem::path deps_dir() {
  const char* deps = std::getenv("KVBENCH_DEPS");
  return deps != nullptr && *deps != '\0' ? std::filesystem::path(deps) : project_root() / ".deps";
}

std::filesystem::path resolve_path(const std::string& written,
                                   const std::filesystem::path& folder) {
  std::filesystem::path path = written;
  if (written == "~" || written.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0') throw_input_error("{}: HOME is not set", written);
    path = home + written.substr(1);
  }
  return std::filesystem::absolute(folder / path).lexically_normal();
}

}  // namespace kvbench
