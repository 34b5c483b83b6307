#include <fmt/format.h>

#include <algorithm>

#include "harness/cli/progress_bar.h"
#include "harness/cli/stop_signals.h"
#include "harness/cli/verbs.h"
#include "harness/report/report.h"
#include "harness/results/results_file.h"
#include "harness/sweep/sweep.h"

namespace kvbench {
namespace {

// The work failed in parts, which the report has said: exit status 1.
void fail_on_errors(const Results& results) {
  const auto has_failed = [](const auto& row) { return !row.error.empty(); };
  const auto n_failed = std::count_if(results.rows.begin(), results.rows.end(), has_failed);
  const auto n_unmeasured =
      std::count_if(results.latency.begin(), results.latency.end(), has_failed);
  if (n_failed + n_unmeasured == 0) return;
  throw std::runtime_error(fmt::format(
      "{} of {} rows{}; a rerun tries them again", n_failed, results.rows.size(),
      n_unmeasured == 0 ? "" : fmt::format(" and {} latency measurements", n_unmeasured)));
}

}  // namespace

void add_run(CLI::App& app) {
  struct Options {
    std::string config, output, shard;
    std::vector<std::string> sets;
    SweepOptions sweep;
  };
  auto* verb = app.add_subcommand("run", "run a sweep; finished samples are kept");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "the sweep, YAML")->required();
  verb->add_option("--set", options->sets, "override a setting: --set tasks.0.samples=5");
  verb->add_option("--output", options->output, "results file, in place of the configuration's");
  verb->add_option("--shard", options->shard,
                   "I/N: the I-th of N parts, 1/N to N/N, in OUTPUT.shard-I-of-N.h5; whole "
                   "contexts, balanced by length; part 1 makes the latency measurements; "
                   "merge joins them");
  verb->add_flag("--fresh", options->sweep.fresh,
                 "move an existing results file aside, start anew");
  verb->add_flag("--keep-failed", options->sweep.keep_failed,
                 "leave rows that failed as they are; else a rerun tries them again");
  auto* dry_run = verb->add_flag("--dry-run", options->sweep.dry_run,
                                 "check everything, list cells, tokens and bytes, write nothing");
  verb->add_flag("--calibrate", options->sweep.calibrate,
                 "with --dry-run: load the model, time two short contexts, tell the hours")
      ->needs(dry_run);
  verb->callback([options] {
    SweepConfig config = load_sweep(options->config, options->sets);
    if (!options->output.empty()) config.output = options->output;
    if (!options->shard.empty()) options->sweep.shard = parse_shard(options->shard);
    options->sweep.stop = stop_was_asked;
    options->sweep.start_progress = after_device_note(config.device, show_progress());
    const SweepResult done = run_sweep(config, options->sweep);
    for (const auto& note : done.notes) fmt::print(stderr, "kvbench: note: {}\n", note);
    if (options->sweep.dry_run) {
      fmt::print("{}", done.plan);
      return;
    }
    if (done.stopped)
      throw_stopped(done.file.string() + " keeps what is done; the same command goes on");
    fmt::print("{}\n{}\n", report({done.file}, {}).text, done.file.string());
    fail_on_errors(read_results(done.file));
  });
}

}  // namespace kvbench
