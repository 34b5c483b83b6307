// profile: makes an LU-KV profile, and converts tables from and to the official layout.
#include "harness/profile/profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/hash.h"
#include "harness/cli/progress_bar.h"
#include "harness/cli/verbs.h"
#include "harness/profile/gap_report.h"
#include "harness/profile/learn.h"
#include "harness/profile/npy.h"
#include "policies/lukv/allocation.h"

namespace kvbench {
namespace {

struct ProfileOptions {
  std::string config, output, export_npy, import_npy, budgets_from;
  std::vector<std::string> sets;
  bool gap = false;
};

// The given name for a single scorer, else one with the scorer's name before the extension.
std::filesystem::path npy_name(const std::filesystem::path& given, const std::string& scorer,
                               size_t n_scorers) {
  if (n_scorers == 1) return given;
  return given.parent_path() /
         fmt::format("{}.{}{}", given.stem().string(), scorer, given.extension().string());
}

// A table of the official layout becomes a file that the lukv allocator reads.
void import_table(const ProfileOptions& options) {
  if (options.output.empty()) throw InputError("--import-npy: expected --output F.h5 as well");
  check_writable(options.output);
  const auto table = read_npy(options.import_npy);
  if (table.dims.size() != 3 || table.dims[0] != lukv::kRatios) {
    throw_input_error("{}: expected shape ({}, layers, KV heads), found ({})", options.import_npy,
                      lukv::kRatios, fmt::join(table.dims, ", "));
  }
  for (const double ratio : table.values) {
    if (ratio >= 0 && ratio <= 1) continue;
    throw_input_error("{}: expected prune ratios from 0 to 1, found {}", options.import_npy, ratio);
  }
  if (std::filesystem::exists(options.output)) {
    throw_input_error("{}: exists; choose another --output", options.output);
  }
  const h5::File file(options.output, h5::Mode::kCreate);
  h5::write_array<double>(file, "table", table.dims, table.values);
  h5::write_attribute(file, "/", "source", options.import_npy);
  h5::write_attribute(file, "/", "source_hash", sha256_file(options.import_npy));
  fmt::print("{}: table [{}]\n", options.output, fmt::join(table.dims, ", "));
}

// Losses of the profile's own budgets are kept in its file, those of another's are only printed.
void print_gap(const ProfileOptions& options, const ProfileConfig& config, ProfileData data) {
  if (!options.budgets_from.empty()) {
    const auto gaps = measure_gaps(data, read_profile(options.budgets_from), config.min_keep);
    for (size_t s = 0; s < gaps.size(); ++s) {
      const auto title = fmt::format(
          "{}: loss in % of all importance, mean of {} questions, with "
          "the budgets of {}",
          data.scorers[s].name, data.entries.size(), options.budgets_from);
      fmt::print("\n{}", render(gap_table(title, gaps[s]), Format::kText));
    }
    return;
  }
  const auto gaps = measure_gaps(data, data, config.min_keep);
  for (size_t s = 0; s < gaps.size(); ++s) data.scorers[s].gap = gaps[s];
  write_profile(config.output, data);
  for (const Grid& grid : profile_tables(data)) fmt::print("\n{}", render(grid, Format::kText));
}

void profile(const ProfileOptions& options) {
  if (options.config.empty() == options.import_npy.empty()) {
    throw InputError("profile: expected a configuration or --import-npy");
  }
  if (!options.import_npy.empty()) return import_table(options);
  ProfileConfig config = load_profile_config(options.config, options.sets);
  if (!options.output.empty()) config.output = options.output;
  if (!options.budgets_from.empty() && !options.gap) {
    throw InputError("--budgets-from: expected --gap as well");
  }
  if (options.gap && !config.losses) {
    throw_input_error("{}: --gap needs `losses: true`", options.config);
  }
  ProfileData data = make_profile(config, after_device_note(config.device, show_progress()));
  for (const ScorerProfile& scorer : data.scorers) {
    fmt::print("{}: {}/table, {} of {} questions\n", config.output.string(), scorer.name,
               scorer.scorer, data.entries.size());
    if (options.export_npy.empty()) continue;
    const auto file = npy_name(options.export_npy, scorer.name, data.scorers.size());
    write_npy(file, average(data, scorer).table);
    fmt::print("{}\n", file.string());
  }
  if (options.gap) print_gap(options, config, std::move(data));
}

}  // namespace

void add_profile(CLI::App& app) {
  auto* verb = app.add_subcommand("profile", "make an LU-KV profile; finished contexts are kept");
  auto options = std::make_shared<ProfileOptions>();
  verb->add_option("config", options->config, "the profile, YAML");
  verb->add_option("--set", options->sets, "override a setting: --set contexts.count=20");
  verb->add_option("--output", options->output, "HDF5 file, in place of the configuration's");
  verb->add_option(
      "--export-npy", options->export_npy,
      "also write the table in the official layout; of several scorers each by itself");
  verb->add_option("--import-npy", options->import_npy,
                   "instead of profiling, turn such a table into --output");
  verb->add_flag("--gap", options->gap, "print what the budgets lose, and which step loses it");
  verb->add_option("--budgets-from", options->budgets_from,
                   "profile whose budgets --gap judges on these contexts: what transfer costs");
  verb->callback([options] { profile(*options); });
}

}  // namespace kvbench
