#include "harness/sweep/sweep.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <map>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/model/open_model.h"
#include "harness/model/prompt.h"
#include "harness/results/store.h"
#include "harness/sweep/cells.h"
#include "harness/sweep/context_runner.h"
#include "harness/sweep/describe_run.h"
#include "harness/sweep/latency.h"
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

// What runs: samples, and the cells that each of them serves.
struct Plan {
  struct Group {
    SampleGroup samples;
    std::vector<SweepCell> cells;
    std::vector<std::vector<int64_t>> contexts = {};  // this shard's: samples that may share one
    std::vector<int64_t> shards_of = {};              // which shard makes each sample
    int64_t n_samples = 0;                            // this shard's
  };
  std::vector<Group> groups;

  std::vector<SampleGroup> sample_groups() const {
    std::vector<SampleGroup> all;
    for (const auto& group : groups) all.push_back(group.samples);
    return all;
  }

  std::string text() const {
    std::string text;
    for (const auto& group : groups) {
      for (const auto& [row, policy, ratio] : group.cells) {
        text += fmt::format("{}  {} length {} compress {}  {} at {}  {} samples\n", row.cell_id,
                            row.task, row.max_length, row.compress, row.policy, row.ratio,
                            group.n_samples);
      }
    }
    return text;
  }
};

// Gives every context to a shard; the groups keep those of `shard`. Throws InputError for more
// shards than contexts.
void split(std::vector<Plan::Group>& groups, const Shard& shard) {
  std::vector<int64_t> lengths;
  for (auto& group : groups) {
    group.contexts = group.samples.by_context();
    group.shards_of.resize(static_cast<size_t>(group.samples.samples->size()));
    for (const auto& members : group.contexts) {
      lengths.push_back(group.samples.about_tokens(members.front()));
    }
  }
  if (shard.count > std::ssize(lengths)) {
    throw_input_error("--shard: {}, expected at most {} shards: as many contexts are in the sweep",
                      shard.text(), lengths.size());
  }
  const auto shards = balanced_shards(lengths, std::max<int64_t>(shard.count, 1));
  auto made_by = shards.begin();
  for (auto& group : groups) {
    for (const auto& members : group.contexts) {
      for (const auto i : members) group.shards_of[static_cast<size_t>(i)] = *made_by;
      ++made_by;
    }
    std::erase_if(group.contexts, [&](const auto& members) {
      return group.shards_of[static_cast<size_t>(members.front())] != shard.index;
    });
    group.n_samples = std::count(group.shards_of.begin(), group.shards_of.end(), shard.index);
  }
}

Plan make_plan(const SweepConfig& config, const std::vector<Policy>& policies,
               const PromptFormat& format, const ModelConfig& model, const std::string& identity,
               const Shard& shard) {
  Plan plan;
  for (auto& samples : open_groups(config, format, model, identity)) {
    check_windows(samples, policies);
    auto cells = cells_of(samples, policies, config.ratios);
    plan.groups.push_back({std::move(samples), std::move(cells)});
  }
  split(plan.groups, shard);
  if (config.latency) {
    check_latency(*config.latency, policies, plan.sample_groups(), model, format.n_around());
  }
  return plan;
}

SweepResult stopped(SweepResult result) {
  result.stopped = true;
  return result;
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
    policy.validate(opened.config.n_budgeted_layers(), opened.config.n_kv_heads,
                    [&] { return info.model_hash; });
  }
  const std::string identity = identity_text(info);
  const Plan plan = make_plan(config, policies, format, opened.config, identity, options.shard);
  check_weights(opened);
  SweepResult result{output, {}, {}};
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
  for (const auto& group : plan.groups) {
    info.data_hashes += data_line(group.samples);
    planned.push_back(plan_of(group.samples, group.cells, group.shards_of, options.shard.index));
  }
  ResultsStore store(
      output, info, planned, opened.config.n_budgeted_layers(), opened.config.n_kv_heads,
      {.fresh = options.fresh, .keep_failed = options.keep_failed, .fidelity = config.fidelity});
  const bool measures = config.latency && options.shard.measures_latency();
  const bool all_measured =
      !measures || is_measured(*config.latency, policies, config.ratios, identity, store);
  if (store.complete() && all_measured) return result;
  if (store.n_done() < store.n_planned() || !all_measured) {
    const Decoder model(config.model.path, opened.dtype, opened.device, options.start_progress);
    const Advance advance = options.start_progress
                                ? options.start_progress(store.n_planned(), store.n_done())
                                : Advance();
    SideBySide contexts(model, config.memory > 0 ? config.memory : free_memory(model.device()));
    ContextRunner runner(model, format, store, config.fidelity, contexts.shared(), advance);
    bool is_stopped = false;
    for (const auto& group : plan.groups) {
      for (const auto& members : group.contexts) {
        is_stopped = is_stopped || (options.stop && options.stop());
        if (!is_stopped) contexts.start(runner.run(group.samples, group.cells, members));
      }
    }
    contexts.finish();
    if (is_stopped) return stopped(result);
    if (measures && !measure_latency(model, *config.latency, policies, config.ratios,
                                     plan.sample_groups(), identity, store, options.stop)) {
      return stopped(result);
    }
  }
  store.finish();
  return result;
}

}  // namespace kvbench
