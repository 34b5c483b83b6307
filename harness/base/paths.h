// Where the project's own data files lie.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// The root of the source tree (configs/, tasks/): KVBENCH_ROOT when set (the launcher sets it),
// else the folder that this binary was built from.
std::filesystem::path project_root();

// What set-up installed: KVBENCH_DEPS when set, else <root>/.deps.
std::filesystem::path deps_dir();

// The one rule for paths that a user writes: `~` and `~/x` are in the home folder, a relative path
// is in `folder`, that of the YAML file in which it stands (empty: typed on the command line, so the
// working folder). Absolute, without dots; nothing is opened. Throws InputError when there is no
// home.
std::filesystem::path resolve_path(const std::string& written, const std::filesystem::path& folder);

}  // namespace kvbench
