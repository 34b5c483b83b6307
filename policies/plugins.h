// Policies from shared libraries: loading one runs its KVB_REGISTER lines.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// Loads each library once for the rest of the process. Throws InputError when a file is missing, is
// not a library that fits this build, registers nothing, or registers a name that is taken.
void load_plugins(const std::vector<std::filesystem::path>& files);

// "NAME sha256" of every loaded plug-in, one a line: part of a cell's identity.
const std::string& plugin_hashes();

}  // namespace kvbench
