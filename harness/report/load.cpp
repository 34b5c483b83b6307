#include "harness/report/load.h"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"
#include "harness/report/regrade.h"
#include "harness/results/results_file.h"

namespace kvbench {
namespace {

Results read(const std::filesystem::path& file) {
  try {
    return read_results(file);
  } catch (const std::runtime_error& e) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored) && H5Fis_hdf5(file.c_str()) <= 0) {
      throw_input_error(
          "{}: not an HDF5 file (no signature of one); expected a results file of "
          "`kvbench run` or a profile",
          file.string());
    }
    throw_input_error("{}", e.what());
  }
}

// One line on where the numbers come from.
std::string origin(const Results& results) {
  const RunInfo& info = results.info;
  std::string line = fmt::format("{}: {} on {}", results.file.string(), info.model, info.device);
  const std::string& processor = info.gpu_name.empty() ? info.cpu_name : info.gpu_name;
  if (!processor.empty()) line += fmt::format(" ({})", processor);
  line += fmt::format(", {} threads", info.threads);
  if (!info.git_commit.empty()) line += fmt::format(", commit {}", info.git_commit);
  std::istringstream versions(info.versions);
  for (std::string version; std::getline(versions, version);) line += fmt::format(", {}", version);
  return line + fmt::format(", started {}", results.state.start_time);
}

}  // namespace

Loaded load(const std::vector<std::filesystem::path>& files, bool regrade) {
  std::vector<Results> all;
  std::vector<std::string> regraded;
  Loaded loaded;
  for (const auto& file : files) {
    all.push_back(read(file));
    loaded.origins.push_back(origin(all.back()));
    if (!regrade) continue;
    const Regraded done = kvbench::regrade(all.back());
    regraded.push_back(fmt::format("{}: {} rows graded anew, {} scores are not the stored ones",
                                   file.string(), done.n_rows, done.n_changed));
  }
  loaded.joined = join(std::move(all));
  auto& warnings = loaded.joined.warnings;
  warnings.insert(warnings.end(), regraded.begin(), regraded.end());
  return loaded;
}

}  // namespace kvbench
