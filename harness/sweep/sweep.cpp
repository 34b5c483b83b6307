#include "harness/sweep/sweep.h"

#include <ATen/Parallel.h>

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
  for (const auto& spec : config.policies) policies.emplace_back(spec);
  return policies;
}

std::string plan_text(const std::vector<std::vector<SweepCell>>& cells_of_group) {
  std::string text;
  for (const auto& cells : cells_of_group) {
    for (const auto& cell : cells) {
      text += fmt::format("{}  {} length {} compress {}  {} at {}  {} samples\n", cell.row.cell_id,
                          cell.row.task, cell.row.max_length, cell.row.compress, cell.row.policy,
                          cell.ratio, cell.row.n_planned);
    }
  }
  return text;
}

}  // namespace

SweepResult run_sweep(const SweepConfig& config, const SweepOptions& options) {
  load_plugins(config.plugins);
  const std::vector<Policy> policies = make_policies(config);
  check_writable(config.output);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const OpenModel opened = open_model(config.model, config.device);
  const ModelConfig& model_config = opened.config;
  for (const auto& policy : policies) {
    policy.validate(model_config.n_layers, model_config.n_kv_heads);
  }
  const PromptFormat format(config.model.path, config.chat_template);

  RunInfo info = describe_run(config, opened);
  for (const auto& policy : policies) info.profile_hashes += policy.file_hashes();
  const std::string identity =
      fmt::format("{} {} {} chat={} {}", info.model_hash, info.tokenizer_hash,
                  dtype_name(opened.dtype), config.chat_template, plugin_hashes());
  const std::vector<SampleGroup> groups = load_groups(config, format, model_config);
  std::vector<std::vector<SweepCell>> cells_of_group;
  std::vector<Cell> cells;
  for (const auto& group : groups) {
    info.data_hashes += fmt::format("{}/{}/{} {}\n", group.request.name, group.request.length,
                                    group.compress, group.data_hash);
    cells_of_group.push_back(cells_of(group, policies, config.ratios, identity));
    for (const auto& cell : cells_of_group.back()) cells.push_back(cell.row);
  }
  if (options.dry_run) return {config.output, plan_text(cells_of_group)};

  ResultsStore store(config.output, info, cells, model_config.n_layers, model_config.n_kv_heads,
                     options.fresh);
  if (store.complete()) return {config.output, ""};
  const Decoder model(config.model.path, opened.dtype, opened.device);
  ContextRunner runner(model, format, store, config.fidelity);
  const Advance advance =
      options.start_progress ? options.start_progress(store.planned_rows(),
                                                      static_cast<int64_t>(store.finished().size()))
                             : Advance();
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const auto& questions : by_context(groups[g].samples)) {
      const int64_t n_rows = runner.run(groups[g], cells_of_group[g], questions);
      if (n_rows > 0 && advance) advance(n_rows, groups[g].request.name);
    }
  }
  // Measurements are repeated as a whole: half of a round would hold one policy more often.
  if (config.latency && store.latency().empty()) {
    store.add_latency(
        measure_latency(model, *config.latency, policies, config.ratios, groups, identity));
  }
  store.finish();
  return {config.output, ""};
}

}  // namespace kvbench
