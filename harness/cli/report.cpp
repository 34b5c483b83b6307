// report: tables and plots out of results files; nothing is recomputed.
#include "harness/results/report.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"
#include "harness/cli/verbs.h"

namespace kvbench {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string table, format = "text", plots;
};

void plot(const Options& options) {
  const auto toolchain = project_root() / "harness/toolchain";
  run_program({(toolchain / "setup.sh").string(), "plots"});
  std::vector<std::string> arguments = {(deps_dir() / "venv/bin/python").string(),
                                        (project_root() / "harness/results/plots.py").string(),
                                        "--output", options.plots};
  arguments.insert(arguments.end(), options.files.begin(), options.files.end());
  run_program(arguments);
}

}  // namespace

void add_report(CLI::App& app) {
  auto* verb = app.add_subcommand("report", "tables and plots out of results files");
  auto options = std::make_shared<Options>();
  verb->add_option("files", options->files, "results files, HDF5")->required();
  verb->add_option("--table", options->table, "summary, cells, samples, latency or memory");
  verb->add_option("--format", options->format, "text, md, csv or latex");
  verb->add_option("--plots", options->plots, "folder to draw plots into (PNG and SVG)");
  verb->callback([options] {
    const ReportOptions what{options->table, parse_format(options->format)};
    const Report made = report({options->files.begin(), options->files.end()}, what);
    fmt::print("{}", made.text);
    if (what.format == Format::kCsv) {  // the other forms carry them at the top
      for (const auto& warning : made.warnings) fmt::print(stderr, "{}\n", warning);
    }
    if (!options->plots.empty()) plot(*options);
  });
}

}  // namespace kvbench
