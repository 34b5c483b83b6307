#include "harness/base/toolchain.h"

#include <cstdlib>
#include <filesystem>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"

namespace kvbench {
namespace {

std::filesystem::path toolchain() { return project_root() / "harness/toolchain"; }

}  // namespace

bool set_up(const std::string& component) {
  ::setenv("KVBENCH_DEPS", deps_dir().c_str(), 1);  // where the script puts it
  return run_for_output({(toolchain() / "setup.sh").string(), component}).status == 0;
}

std::string run_script(const std::string& script, std::vector<std::string> arguments,
                       const std::string& what) {
  arguments.insert(arguments.begin(),
                   {(deps_dir() / "venv/bin/python").string(), (toolchain() / script).string()});
  Finished finished = run_for_output(std::move(arguments));
  while (finished.output.ends_with('\n')) finished.output.pop_back();
  if (finished.status == 2) throw_input_error("{}: {}", what, finished.output);
  if (finished.status != 0) throw std::runtime_error(fmt::format("{}: {} failed", what, script));
  return finished.output;
}

}  // namespace kvbench
