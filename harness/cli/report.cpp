// report: tables and plots out of results files and profiles; nothing is recomputed.
#include "harness/report/report.h"

#include <fmt/format.h>

#include <fstream>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"
#include "harness/cli/verbs.h"
#include "harness/config/yaml_files.h"
#include "harness/profile/gap_report.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string table, against, targets, certify, format = "text", plots;
  std::optional<double> width;
  bool power = false, regrade = false;
};

void plot(const std::string& script, const std::string& folder,
          const std::vector<std::string>& files) {
  run_program({(project_root() / "harness/toolchain/setup.sh").string(), "plots"});
  std::vector<std::string> arguments = {(deps_dir() / "venv/bin/python").string(),
                                        (project_root() / script).string(), "--output", folder};
  arguments.insert(arguments.end(), files.begin(), files.end());
  run_program(arguments);
}

// The table of cells as CSV beside the plots: what they show.
std::string write_cells(const std::string& folder, const std::vector<std::string>& files) {
  const Report cells = report({files.begin(), files.end()}, {"cells", Format::kCsv});
  const auto path = std::filesystem::path(folder) / "cells.csv";
  std::error_code ignored;  // the stream fails too
  std::filesystem::create_directories(folder, ignored);
  const std::string header = cells.text.substr(0, cells.text.find('\n'));
  if (std::filesystem::exists(path) && !read_file(path).starts_with(header)) {
    throw_input_error("--plots: {} was not written by report; choose another folder",
                      path.string());
  }
  std::ofstream stream(path);
  stream << cells.text;
  if (!stream.flush()) throw_input_error("--plots: {} cannot be written", path.string());
  return path.string();
}

void report_results(const Options& options, const std::vector<std::string>& files) {
  ReportOptions what{options.table, parse_format(options.format), options.against};
  what.regrade = options.regrade;
  what.width = options.width;
  if (options.power) {
    if (what.table.empty()) what.table = "power";
    if (what.table != "power") throw_input_error("--power stands beside no --table {}", what.table);
  }
  if (!options.certify.empty()) {
    what.promise = parse_promise(options.certify);
    if (what.table.empty()) what.table = "certify";
  }
  if (!options.targets.empty()) {
    what.targets = parse_targets(load_yaml(options.targets), tasks_of);
    if (what.table.empty()) what.table = "targets";
  }
  const Report made = report({files.begin(), files.end()}, what);
  fmt::print("{}", made.text);
  if (what.format == Format::kCsv) {  // the other forms carry them at the top
    for (const auto& warning : made.warnings) fmt::print(stderr, "{}\n", warning);
  }
  if (options.plots.empty()) return;
  plot("harness/report/plots.py", options.plots, {write_cells(options.plots, files)});
}

void report_profiles(const Options& options, const std::vector<std::string>& files) {
  const Format format = parse_format(options.format);
  std::vector<std::pair<std::string, ProfileData>> profiles;
  for (const auto& file : files) profiles.emplace_back(file, read_profile(file));
  if (format == Format::kCsv) {
    fmt::print("{}", render(profile_data_grid(profiles), format));
  } else {
    for (const auto& [file, data] : profiles) {
      fmt::print("{}{}: profile of {}, {} questions\n", format == Format::kLatex ? "% " : "", file,
                 data.attributes.at("model"), data.entries.size());
      for (const Grid& grid : profile_tables(data)) fmt::print("\n{}", render(grid, format));
    }
  }
  if (!options.plots.empty()) plot("harness/profile/plots.py", options.plots, files);
}

}  // namespace

void add_report(CLI::App& app) {
  auto* verb = app.add_subcommand("report", "tables and plots out of results files");
  auto options = std::make_shared<Options>();
  verb->add_option("files", options->files, "results files or profiles, HDF5")->required();
  verb->add_option("--table", options->table,
                   "summary, cells, samples, latency, memory, paired, power, certify, longbench, "
                   "longbench_e or targets");
  verb->add_option("--against", options->against,
                   "policy that the others are compared with, sample by sample (--table paired, "
                   "--power)");
  verb->add_flag(
      "--power", options->power,
      "how many contexts and samples an interval of the wanted width needs, and how many "
      "there are");
  verb->add_option("--width", options->width,
                   "the wanted half-width of --power in points of score; 5 if not given");
  verb->add_option(
      "--certify", options->certify,
      "risk=R[,loss=drop|worse][,confidence=0.95]: the largest ratio of each policy whose "
      "mean loss against the full cache, 0 to 1, is at most R");
  verb->add_option("--targets", options->targets,
                   "a table's published figures (configs/paper/*.targets.yaml), to judge the "
                   "results by");
  verb->add_option("--format", options->format, "text, md, csv or latex");
  verb->add_flag("--regrade", options->regrade,
                 "grade the stored predictions anew, without the model; files stay as they are");
  verb->add_option("--plots", options->plots,
                   "folder to draw plots into (PNG and SVG), with their cells.csv");
  verb->callback([options] {
    std::vector<std::string> results, profiles;
    for (const auto& file : options->files) (is_profile(file) ? profiles : results).push_back(file);
    if (!results.empty() && !profiles.empty() && parse_format(options->format) == Format::kCsv) {
      throw_input_error("--format csv: {} is a results file and {} a profile: two tables",
                        results[0], profiles[0]);
    }
    if (!results.empty()) report_results(*options, results);
    if (!profiles.empty()) report_profiles(*options, profiles);
  });
}

}  // namespace kvbench
