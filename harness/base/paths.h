// Where the project's own data files lie.
#pragma once

#include <filesystem>

namespace kvbench {

// The root of the source tree (configs/, tasks/): KVBENCH_ROOT when set (the launcher sets it),
// else the folder that this binary was built from.
std::filesystem::path project_root();

// What set-up installed: KVBENCH_DEPS when set, else <root>/.deps.
std::filesystem::path deps_dir();

}  // namespace kvbench
