// Policies from shared libraries: loading one runs its KVB_REGISTER lines.
#pragma once

#include <filesystem>
#include <vector>

namespace kvbench {

// Loads each library once for the rest of the process. Throws InputError when a file is missing, is
// not a library, registers nothing, or registers a name that is taken; and, before any of its code
// runs, when policies/plugin_template/build.sh did not build it against the headers and the
// LibTorch of this program (its stamp, registry.h).
void load_plugins(const std::vector<std::filesystem::path>& files);

}  // namespace kvbench
