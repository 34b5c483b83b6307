// report: tables, plots and pages out of results files and profiles; nothing is recomputed.
#include "harness/report/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"
#include "harness/cli/verbs.h"
#include "harness/config/yaml_files.h"
#include "harness/profile/gap_report.h"
#include "harness/report/leaderboard.h"
#include "harness/report/load.h"
#include "harness/report/page_data.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

struct ReportVerbOptions {
  std::vector<std::string> files;
  std::string table, against, targets, certify, format = "text", plots, html, leaderboard;
  std::optional<double> width;
  bool power = false, regrade = false;
};

// Runs one of the scripts that draw, which writes `output` (a folder or a file) out of `files`.
void draw(const std::string& script, const std::string& output,
          const std::vector<std::string>& files) {
  run_program({(project_root() / "harness/toolchain/setup.sh").string(), "plots"});
  std::vector<std::string> arguments = {(deps_dir() / "venv/bin/python").string(),
                                        (project_root() / script).string(), "--output", output};
  arguments.insert(arguments.end(), files.begin(), files.end());
  run_program(arguments);
}

// What plots and pages show, in a file as long as they are drawn.
class DataFile {
 public:
  explicit DataFile(const std::string& content) {
    path_ = (std::filesystem::temp_directory_path() / "kvbench_XXXXXX").string();
    const int descriptor = mkstemp(path_.data());
    KVB_CHECK(descriptor >= 0, "{}: cannot be made", path_);
    close(descriptor);
    std::ofstream stream(path_);
    stream << content;
    if (!stream.flush()) throw std::runtime_error(path_ + ": cannot be written");
  }
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  ~DataFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void write_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream stream(path);
  stream << text;
  if (!stream.flush()) throw_input_error("{}: cannot be written", path.string());
}

// The table of cells as CSV beside the plots.
void write_cells(const std::string& folder, const std::vector<std::string>& files) {
  const Report cells = report({files.begin(), files.end()}, {"cells", Format::kCsv});
  const auto path = std::filesystem::path(folder) / "cells.csv";
  std::error_code ignored;  // the stream fails too
  std::filesystem::create_directories(folder, ignored);
  const std::string header = cells.text.substr(0, cells.text.find('\n'));
  if (std::filesystem::exists(path) && !read_file(path).starts_with(header)) {
    throw_input_error("--plots: {} was not written by report; choose another folder",
                      path.string());
  }
  write_text(path, cells.text);
}

// Makes an empty page, so that what cannot be written is found before anything is drawn; only a
// page of ours is written over.
void check_page(const std::string& path) {
  constexpr const char* kOurs = "<meta name=\"generator\" content=\"kvbench\">";
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) {
    if (std::filesystem::is_directory(path)) {
      throw_input_error("--html {}: is a folder; expected a file's name", path);
    }
    if (read_file(path).find(kOurs) == std::string::npos) {
      throw_input_error("--html {}: was not written by report; choose another file", path);
    }
  }
  write_text(path, kOurs);
}

// Writes folders beside those that are there; none is written over.
void export_leaderboard(const ReportVerbOptions& options, const std::vector<std::string>& files) {
  const std::filesystem::path folder = options.leaderboard;
  const Loaded loaded = load({files.begin(), files.end()}, options.regrade);
  const Leaderboard board = leaderboard(loaded.joined, blocks_of(loaded.joined));
  for (const LeaderboardFolder& each : board.folders) {
    if (std::filesystem::exists(folder / each.name)) {
      throw_input_error("--export-leaderboard: {} is there; choose another folder",
                        (folder / each.name).string());
    }
  }
  for (const auto& remark : board.remarks) fmt::print(stderr, "kvbench: note: {}\n", remark);
  for (const LeaderboardFolder& each : board.folders) {
    std::error_code ignored;  // the streams fail too
    std::filesystem::create_directories(folder / each.name, ignored);
    write_text(folder / each.name / "predictions.csv", each.predictions);
    write_text(folder / each.name / "metrics.json", each.metrics);
    write_text(folder / each.name / "config.yaml", each.config);
    fmt::print("{}\n", (folder / each.name).string());
  }
}

void report_results(const ReportVerbOptions& options, const std::vector<std::string>& files) {
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
  std::optional<DataFile> data;
  if (!options.plots.empty() || !options.html.empty()) {
    data.emplace(page_data({files.begin(), files.end()}, options.regrade));
  }
  if (!options.plots.empty()) write_cells(options.plots, files);
  if (!options.html.empty()) check_page(options.html);
  fmt::print("{}", made.text);
  if (what.format == Format::kCsv) {  // the other forms carry them at the top
    for (const auto& warning : made.warnings) fmt::print(stderr, "{}\n", warning);
  }
  std::fflush(stdout);  // before the names that the scripts print
  if (!options.plots.empty()) draw("harness/report/plots.py", options.plots, {data->path()});
  if (!options.html.empty()) draw("harness/report/page.py", options.html, {data->path()});
  if (!options.leaderboard.empty()) export_leaderboard(options, files);
}

void report_profiles(const ReportVerbOptions& options, const std::vector<std::string>& files) {
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
  if (!options.plots.empty()) draw("harness/profile/plots.py", options.plots, files);
}

}  // namespace

void add_report(CLI::App& app) {
  auto* verb = app.add_subcommand("report", "tables and plots out of results files");
  auto options = std::make_shared<ReportVerbOptions>();
  verb->add_option("files", options->files, "results files or profiles, HDF5")->required();
  verb->add_option("--table", options->table,
                   "summary, cells, samples, latency, memory, paired, power, certify, longbench, "
                   "longbench_e, decoding or targets");
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
  verb->add_option("--html", options->html,
                   "one page with answer, tables and plots, that needs nothing beside it");
  verb->add_option("--export-leaderboard", options->leaderboard,
                   "folder for the results in the layout of kvpress's leaderboard");
  verb->callback([options] {
    std::vector<std::string> results, profiles;
    for (const auto& file : options->files) (is_profile(file) ? profiles : results).push_back(file);
    if (!results.empty() && !profiles.empty() && parse_format(options->format) == Format::kCsv) {
      throw_input_error("--format csv: {} is a results file and {} a profile: two tables",
                        results[0], profiles[0]);
    }
    const std::pair<const char*, const std::string&> of_results[] = {
        {"--html", options->html}, {"--export-leaderboard", options->leaderboard}};
    for (const auto& [option, value] : of_results) {
      if (value.empty() || profiles.empty()) continue;
      throw_input_error("{}: {} is a profile; expected results files", option, profiles[0]);
    }
    if (!results.empty()) report_results(*options, results);
    if (!profiles.empty()) report_profiles(*options, profiles);
  });
}

}  // namespace kvbench
