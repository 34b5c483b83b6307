#include <fmt/format.h>

#include "harness/cli/progress_bar.h"
#include "harness/cli/verbs.h"
#include "harness/report/report.h"
#include "harness/sweep/sweep.h"

namespace kvbench {

void add_run(CLI::App& app) {
  struct Options {
    std::string config, output;
    std::vector<std::string> sets;
    SweepOptions sweep;
  };
  auto* verb = app.add_subcommand("run", "run a sweep; finished samples are kept");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "the sweep, YAML")->required();
  verb->add_option("--set", options->sets, "override a setting: --set tasks.0.samples=5");
  verb->add_option("--output", options->output, "results file, in place of the configuration's");
  verb->add_flag("--fresh", options->sweep.fresh,
                 "move an existing results file aside, start anew");
  verb->add_flag("--dry-run", options->sweep.dry_run, "check everything and list the cells");
  verb->callback([options] {
    SweepConfig config = load_sweep(options->config, options->sets);
    if (!options->output.empty()) config.output = options->output;
    options->sweep.start_progress = show_progress();
    const SweepResult done = run_sweep(config, options->sweep);
    if (options->sweep.dry_run) {
      fmt::print("{}", done.plan);
      return;
    }
    fmt::print("{}\n{}\n", report({done.file}, {}).text, done.file.string());
  });
}

}  // namespace kvbench
