#include "harness/runner/sweep.h"

#include <ATen/Parallel.h>

#include "harness/base/error.h"
#include "harness/model/safetensors.h"
#include "harness/results/store.h"
#include "harness/runner/cells.h"
#include "harness/runner/context_runner.h"
#include "harness/runner/device.h"
#include "harness/runner/latency.h"
#include "harness/runner/plugins.h"
#include "harness/runner/progress.h"
#include "harness/runner/run_info.h"

namespace kvbench {
namespace {

std::vector<Policy> make_policies(const SweepConfig& config) {
  std::vector<Policy> policies;
  for (const auto& spec : config.policies) policies.emplace_back(spec);
  return policies;
}

void print_plan(const std::vector<std::vector<SweepCell>>& cells_of_group) {
  for (const auto& cells : cells_of_group) {
    for (const auto& cell : cells) {
      fmt::print("{}  {} length {} compress {}  {} at {}  {} samples\n", cell.row.cell_id,
                 cell.row.task, cell.row.max_length, cell.row.compress, cell.row.policy, cell.ratio,
                 cell.row.n_planned);
    }
  }
}

}  // namespace

std::filesystem::path run_sweep(const SweepConfig& config, const SweepOptions& options) {
  load_plugins(config.plugins);
  const std::vector<Policy> policies = make_policies(config);
  ResultsStore::check_writable(config.output);
  const c10::Device device = resolve_device(config.device);
  ensure_model(config.model);
  if (config.threads > 0) at::set_num_threads(static_cast<int>(config.threads));
  const ModelConfig model_config = load_model_config(config.model.path);
  for (const auto& policy : policies)
    policy.validate(model_config.n_layers, model_config.n_kv_heads);
  const at::ScalarType dtype = model_dtype(config.model, model_config);
  const PromptFormat format(config.model.path, config.chat_template);

  RunInfo info = describe_run(config, device, dtype);
  for (const auto& policy : policies) info.profile_hashes += policy.profile_hashes();
  const std::string identity =
      fmt::format("{} {} {} chat={} {}", info.model_hash, info.tokenizer_hash, dtype_name(dtype),
                  config.chat_template, plugin_hashes());
  const std::vector<SampleGroup> groups = load_groups(config, format, model_config);
  std::vector<std::vector<SweepCell>> cells_of_group;
  std::vector<Cell> cells;
  for (const auto& group : groups) {
    info.data_hashes += fmt::format("{}/{}/{} {}\n", group.request.name, group.request.length,
                                    group.compress, group.data_hash);
    cells_of_group.push_back(cells_of(group, policies, config.ratios, identity));
    for (const auto& cell : cells_of_group.back()) cells.push_back(cell.row);
  }
  const Weights headers(config.model.path);  // missing or truncated ones are found here
  if (options.dry_run) {
    print_plan(cells_of_group);
    return config.output;
  }

  ResultsStore store(config.output, info, cells, model_config.n_layers, model_config.n_kv_heads,
                     options.fresh);
  if (store.complete()) return config.output;
  const Decoder model(config.model.path, dtype, device);
  ContextRunner runner(model, format, store, config.fidelity);
  Progress progress(store.planned_rows(), static_cast<int64_t>(store.finished().size()));
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const auto& questions : by_context(groups[g].samples)) {
      const int64_t n_rows = runner.run(groups[g], cells_of_group[g], questions);
      if (n_rows > 0) progress.advance(n_rows, groups[g].request.name);
    }
  }
  // Measurements are repeated as a whole: half of a round would hold one policy more often.
  if (config.latency && store.latency().empty()) {
    store.add_latency(
        measure_latency(model, *config.latency, policies, config.ratios, groups, identity));
  }
  store.finish();
  return config.output;
}

}  // namespace kvbench
