#include "harness/sweep/sweep.h"

#include <ATen/Parallel.h>

#include <map>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/context_runner.h"
#include "harness/sweep/describe_run.h"
#include "harness/sweep/latency.h"
#include "policies/plugins.h"

namespace kvbench {
namespace {

std::vector<Policy> make_policies(const SweepConfig& config) {
  std::vector<Policy> policies;
  std::map<std::string, std::string> known;  // policy id -> name
  for (const auto& spec : config.policies) {
    const Policy& policy = policies.emplace_back(spec);
    const auto [it, is_new] = known.try_emplace(policy_id(policy), policy.name());
    if (!is_new) {
      throw_input_error("{}: policies: \"{}\" is the same policy as \"{}\"", config.origin,
                        policy.name(), it->second);
    }
  }
  return policies;
}

// What runs: samples, and the cells that each of them serves.
struct Plan {
  std::vector<SampleGroup> groups;
  std::vector<std::vector<SweepCell>> cells;  // of each group

  std::string text() const {
    std::string text;
    for (size_t g = 0; g < groups.size(); ++g) {
      for (const auto& cell : cells[g]) {
        text += fmt::format("{}  {} length {} compress {}  {} at {}  {} samples\n",
                            cell.row.cell_id, cell.row.task, cell.row.max_length, cell.row.compress,
                            cell.row.policy, cell.row.ratio, groups[g].samples->size());
      }
    }
    return text;
  }
};

Plan make_plan(const SweepConfig& config, const std::vector<Policy>& policies,
               const PromptFormat& format, const ModelConfig& model, const std::string& identity) {
  Plan plan;
  plan.groups = open_groups(config, format, model, identity);
  for (const auto& group : plan.groups) {
    check_windows(group, policies);
    plan.cells.push_back(cells_of(group, policies, config.ratios));
  }
  if (config.latency) {
    check_latency(*config.latency, policies, plan.groups, model, format.n_around());
  }
  return plan;
}

}  // namespace

SweepResult run_sweep(const SweepConfig& config, const SweepOptions& options) {
  load_plugins(config.plugins);
  const std::vector<Policy> policies = make_policies(config);
  check_writable(config.output, options.dry_run ? Probe::kAsk : Probe::kTry);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  const PromptFormat format(config.model.path, config.chat_template);
  RunInfo info = describe_run(config, opened, format, policies, options.start_progress);
  for (const auto& policy : policies) {
    policy.validate(opened.config.n_budgeted_layers(), opened.config.n_kv_heads,
                    [&] { return info.model_hash; });
  }
  const std::string identity = identity_text(info);
  const Plan plan = make_plan(config, policies, format, opened.config, identity);
  check_weights(opened);
  SweepResult result{config.output, {}, {}};
  for (const auto& policy : policies) {
    if (!config.latency || !policy.needs_answer()) continue;
    result.notes.push_back(fmt::format(
        "latency: {} is not measured: an oracle knows what to keep only after the answer",
        policy.name()));
  }
  if (options.dry_run) {
    result.plan = plan.text();
    return result;
  }

  std::vector<PlannedGroup> planned;
  for (size_t g = 0; g < plan.groups.size(); ++g) {
    info.data_hashes += data_line(plan.groups[g]);
    planned.push_back(plan_of(plan.groups[g], plan.cells[g]));
  }
  ResultsStore store(
      config.output, info, planned, opened.config.n_budgeted_layers(), opened.config.n_kv_heads,
      {.fresh = options.fresh, .keep_failed = options.keep_failed, .fidelity = config.fidelity});
  const bool all_measured =
      !config.latency || is_measured(*config.latency, policies, config.ratios, identity, store);
  if (store.complete() && all_measured) return result;
  if (store.n_done() < store.n_planned() || !all_measured) {
    const Decoder model(config.model.path, opened.dtype, opened.device, options.start_progress);
    ContextRunner runner(model, format, store, config.fidelity);
    const Advance advance = options.start_progress
                                ? options.start_progress(store.n_planned(), store.n_done())
                                : Advance();
    for (size_t g = 0; g < plan.groups.size(); ++g) {
      for (const auto& members : plan.groups[g].by_context()) {
        const int64_t n_rows = runner.run(plan.groups[g], plan.cells[g], members);
        if (n_rows > 0 && advance) advance(n_rows, plan.groups[g].request.name);
      }
    }
    if (config.latency) {
      measure_latency(model, *config.latency, policies, config.ratios, plan.groups, identity,
                      store);
    }
  }
  store.finish();
  return result;
}

}  // namespace kvbench
