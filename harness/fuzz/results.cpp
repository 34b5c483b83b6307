// Results files: read whole, reported, and gone on with.
#include <string_view>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/fuzz/files.h"
#include "harness/fuzz/target.h"
#include "harness/report/page_data.h"
#include "harness/report/report.h"
#include "harness/results/results_file.h"
#include "harness/results/store.h"
#include "harness/results/test_run.h"

namespace kvbench::fuzz {
namespace {

constexpr int64_t kSamples = 3;

std::vector<std::string> prepare(const std::filesystem::path& folder) {
  test_run::work(folder / "good.h5", kSamples);
  return {read_file(folder / "good.h5")};
}

void make_reports(const std::filesystem::path& folder) {
  for (const char* table : {"", "samples", "latency", "power"}) {
    report({folder / "run.h5"}, {.table = table});
  }
  page_data({folder / "run.h5"}, false);
  report({folder / "run.h5"}, {.table = "certify", .promise = Promise{.risk = 0.05}});
  try {
    report({folder / "run.h5"}, {.table = "paired", .against = "full"});
  } catch (const InputError& error) {  // the file is good, but not of this policy
    if (!std::string_view(error.what()).starts_with("--against")) throw;
  }
}

void go_on(const std::filesystem::path& folder) { test_run::work(folder / "run.h5", kSamples); }

}  // namespace

std::vector<Target> results_targets() {
  return {{"results", "run.h5", {}, prepare, make_reports},
          {.name = "results_store",
           .file = "run.h5",
           .form = {},
           .prepare = prepare,
           .read = go_on,
           .runtime_errors = true}};
}

}  // namespace kvbench::fuzz
