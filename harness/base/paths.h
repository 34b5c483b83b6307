// Where the project's own data files lie.
#pragma once

#include <filesystem>

namespace kvbench {

// The root of the source tree (configs/, tasks/): KVBENCH_ROOT when set (the launcher sets it),
// else the folder that this binary was built from.
std::filesystem::path project_root();

// What set-up installed: KVBENCH_DEPS when set, else <root>/.deps.
std::filesystem::path deps_dir();

// A data file named in a configuration: relative to the working directory or, where there is none,
// to the project's root.
std::filesystem::path data_file(const std::filesystem::path& named);

}  // namespace kvbench
