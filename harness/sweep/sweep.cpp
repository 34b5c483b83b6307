#include "harness/sweep/sweep.h"

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>

#include <map>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/context_runner.h"
#include "harness/sweep/cost.h"
#include "harness/sweep/describe_run.h"
#include "harness/sweep/latency.h"
#include "harness/sweep/plan.h"
#include "harness/sweep/side_by_side.h"
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

SweepResult stopped(SweepResult result) {
  result.stopped = true;
  return result;
}

// Gives back what LibTorch keeps for later: measurements in other processes have need of it.
void release_memory(c10::Device device) {
  if (!device.is_cpu()) at::getDeviceAllocator(device.type())->emptyCache();
}

// Returns false when it was stopped.
bool answer_samples(const SweepConfig& config, const SweepOptions& options, const OpenModel& opened,
                    const PromptFormat& format, const SweepPlan& plan, ResultsStore& store) {
  const Decoder model(config.model.path, opened.dtype, opened.device, options.start_progress);
  const Advance advance = options.start_progress
                              ? options.start_progress(store.n_planned(), store.n_done())
                              : Advance();
  SideBySide contexts(model, config.memory > 0 ? config.memory : free_memory(model.device()));
  ContextRunner runner(model, format, store, {config.fidelity, config.likelihood},
                       contexts.shared(), advance);
  bool is_stopped = false;
  for (const auto& group : plan.groups) {
    for (const auto& members : group.contexts) {
      is_stopped = is_stopped || (options.stop && options.stop());
      if (!is_stopped) contexts.start(runner.run(group.samples, group.cells, members));
    }
  }
  contexts.finish();
  return !is_stopped;
}

}  // namespace

SweepResult run_sweep(const SweepConfig& config, const SweepOptions& options) {
  load_plugins(config.plugins);
  const std::vector<Policy> policies = make_policies(config);
  const std::filesystem::path output = shard_file(config.output, options.shard);
  check_writable(output, options.dry_run ? Probe::kAsk : Probe::kTry);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  const PromptFormat format(config.model.path, config.chat_template);
  RunInfo info = describe_run(config, opened, format, policies, options.start_progress);
  info.shard = options.shard.text();
  for (const auto& policy : policies) {
    policy.validate(opened.config.shape(), [&] { return info.model_hash; });
  }
  const std::string identity = identity_text(info);
  const SweepPlan plan =
      make_plan(config, policies, format, opened.config, identity, options.shard);
  check_weights(opened);
  SweepResult result{output, {}, {}};
  for (const auto& policy : policies) {
    if (!config.latency || !policy.needs_answer()) continue;
    result.notes.push_back(fmt::format(
        "latency: {} is not measured: an oracle knows what to keep only after the answer",
        policy.name()));
  }
  if (options.dry_run) {
    const SweepCost cost = cost_of(plan, opened);
    result.plan = plan.text() + cost_text(cost);
    if (options.calibrate) {
      const Decoder model(config.model.path, opened.dtype, opened.device, options.start_progress);
      result.plan += calibration_text(calibrate(model, plan, cost), plan);
    }
    return result;
  }

  std::vector<PlannedGroup> planned;
  for (const auto& group : plan.groups) {
    info.data_hashes += data_line(group.samples);
    planned.push_back(plan_of(group.samples, group.cells, group.shards_of, options.shard.index));
  }
  ResultsStore store(output, info, planned, opened.config.n_budgeted_layers(),
                     opened.config.n_kv_heads,
                     {.fresh = options.fresh,
                      .keep_failed = options.keep_failed,
                      .fidelity = config.fidelity,
                      .likelihood = config.likelihood});
  const bool measures = config.latency && options.shard.measures_latency();
  const LatencyPlan latency{config, policies, opened, identity};
  const bool all_measured = !measures || is_measured(latency, store);
  if (store.complete() && all_measured) return result;
  if (store.n_done() < store.n_planned() &&
      !answer_samples(config, options, opened, format, plan, store)) {
    return stopped(result);
  }
  release_memory(opened.device);
  if (!all_measured && !measure_latency(latency, plan.sample_groups(), store, options.stop)) {
    return stopped(result);
  }
  store.finish();
  return result;
}

}  // namespace kvbench
