// list: what can be named in a configuration.
#include <fmt/format.h>

#include <filesystem>

#include "harness/base/data_sets.h"
#include "harness/cli/verbs.h"
#include "harness/config/model_spec.h"
#include "harness/config/policy_yaml.h"
#include "harness/model/hub_fetch.h"
#include "policies/allocator.h"
#include "policies/plugins.h"
#include "policies/scorer.h"
#include "policies/weighting.h"
#include "tasks/metrics.h"
#include "tasks/task.h"

namespace kvbench {
namespace {

void print_names(const std::vector<std::string>& names) {
  for (const auto& name : names) fmt::print("{}\n", name);
}

// Made with the defaults alone, a part describes its parameters.
template <class Part>
void print_parts(bool verbose) {
  const auto& registry = Registry<Part>::instance();
  for (const auto& name : registry.names()) {
    const auto& entry = registry.find(name);
    fmt::print("{:<22} {}\n", name, entry.doc);
    if (!verbose) continue;
    Params params;
    entry.make(params);
    for (const auto& p : params.described()) {
      fmt::print("    {:<18} {:<10} {}\n", p.key, p.value, p.doc);
    }
  }
}

// Name, name on the hub ("-": none), whether its folder is on this machine.
void print_models() {
  for (const auto& name : model_names()) {
    const ModelSpec model = named_model(name);
    fmt::print("{:<26} {:<38} {}\n", name, model.hub.empty() ? "-" : model.hub,
               model.is_here() ? "here" : "not here");
  }
}

// Name, name on the hub, what is on this machine.
void print_data_sets() {
  for (const auto& name : data_set_names()) {
    const DataSet set = named_data_set(name);
    const bool cached = !is_made(set) && !find_cached(set).files.empty();
    fmt::print("{:<14} {:<24} {}\n", name, set.hub,
               is_made(set) ? "here"
               : cached     ? "in the hub's cache; data fetch makes it"
                            : "not here");
  }
}

void print_policies(bool verbose) {
  for (const auto& preset : load_presets()) {
    fmt::print("{:<22} {}\n", preset.policy.name, preset.doc);
    if (verbose) {
      fmt::print("    {}\n    source: {}\n", policy_yaml(preset.policy), preset.source);
    }
  }
}

}  // namespace

void add_list(CLI::App& app) {
  auto* verb = app.add_subcommand(
      "list", "policies, scorers, allocators, weightings, tasks, metrics, models, data");
  auto what = std::make_shared<std::string>();
  auto verbose = std::make_shared<bool>(false);
  auto plugins = std::make_shared<std::vector<std::filesystem::path>>();
  verb->add_option("what", *what, "what to list")
      ->required()
      ->check(CLI::IsMember({"policies", "scorers", "allocators", "weightings", "tasks", "metrics",
                             "models", "data"}));
  verb->add_flag("--verbose,-v", *verbose, "with parameters, defaults and sources");
  verb->add_option("--plugin", *plugins, "shared library whose parts are listed with ours");
  verb->callback([what, verbose, plugins] {
    load_plugins(*plugins);
    if (*what == "policies") return print_policies(*verbose);
    if (*what == "scorers") return print_parts<Scorer>(*verbose);
    if (*what == "allocators") return print_parts<Allocator>(*verbose);
    if (*what == "weightings") return print_parts<Weighting>(*verbose);
    if (*what == "tasks") return print_names(task_names());
    if (*what == "metrics") return print_names(metric_names());
    if (*what == "data") return print_data_sets();
    print_models();
  });
}

}  // namespace kvbench
