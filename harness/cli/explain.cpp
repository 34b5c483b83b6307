// explain: one sample of a sweep, from the prompt to its score.
#include "harness/sweep/explain.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/cli/verbs.h"

namespace kvbench {

void add_explain(CLI::App& app) {
  struct Options {
    std::string config, results;
    std::vector<std::string> sets;
    double ratio = -1;
    ExplainOptions explain;
  };
  auto* verb = app.add_subcommand("explain", "one sample of a sweep: prompt, answers, score");
  auto options = std::make_shared<Options>();
  verb->add_option("config", options->config, "the sweep, YAML")->required();
  verb->add_option("--task", options->explain.task, "a task of the sweep")->required();
  verb->add_option("--sample", options->explain.sample, "its number in its source (sample_id)")
      ->required();
  verb->add_option("--results", options->results, "results file, in place of the sweep's output");
  verb->add_option("--policy", options->explain.policy, "only this policy's answers");
  verb->add_option("--ratio", options->ratio,
                   "only this ratio, and what the policy keeps of the context (loads the model)");
  verb->add_option("--set", options->sets, "override a setting of the sweep");
  verb->callback([options] {
    if (options->ratio >= 0) {
      if (options->explain.policy.empty() || options->ratio >= 1) {
        throw InputError("--ratio: expected a share removed in [0, 1), and --policy beside it");
      }
      options->explain.ratio = options->ratio;
    }
    if (!options->results.empty()) options->explain.results = resolve_path(options->results, "");
    fmt::print("{}", explain(load_sweep(options->config, options->sets), options->explain));
  });
}

}  // namespace kvbench
