// The programs of harness/toolchain: what they install, and the Python scripts that work for us.
#pragma once

#include <string>
#include <vector>

namespace kvbench {

// Installs a component (`setup.sh COMPONENT`) unless it is there. False when that fails:
// deps_dir()/COMPONENT.log says why, as far as the component keeps one.
bool set_up(const std::string& component);

// What a script prints that the private Python runs with `arguments`, without the line ends behind
// it; it shares our stderr. A script that refuses prints one line and exits with 2: an InputError
// "<what>: <line>". Throws std::runtime_error when it fails in another way.
std::string run_script(const std::string& script, std::vector<std::string> arguments,
                       const std::string& what);

}  // namespace kvbench
