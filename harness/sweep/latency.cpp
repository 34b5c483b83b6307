#include "harness/sweep/latency.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/hash.h"

namespace kvbench {
namespace {

// One policy at one ratio, length and batch.
struct LatencyCell {
  size_t policy;   // of the sweep's
  double ratio;    // what the policy is told
  LatencyRow row;  // what is known before
};

std::vector<LatencyCell> cells_of(const LatencyPlan& plan) {
  const LatencySpec& spec = *plan.config.latency;
  std::vector<LatencyCell> cells;
  for (const int64_t length : spec.lengths) {
    for (const int64_t batch : spec.batch) {
      for (size_t p = 0; p < plan.policies.size(); ++p) {
        const Policy& policy = plan.policies[p];
        if (policy.needs_answer()) continue;
        for (const double ratio : ratios_of(policy, plan.config.ratios)) {
          LatencyRow row;
          row.policy_id = policy_id(policy);
          row.policy = policy.name();
          row.ratio = ratio;
          row.context_tokens = length;
          row.batch = batch;
          row.decode_tokens = spec.decode_tokens;
          // "apart": measurements that shared a process had other ids.
          row.cell_id =
              sha256_hex(fmt::format("latency apart {}\n{}\n{}\n{}\n{}\n{}", plan.identity,
                                     row.policy_id, ratio, length, spec.decode_tokens, batch))
                  .substr(0, 16);
          cells.push_back({p, told_ratio(ratio), std::move(row)});
        }
      }
    }
  }
  return cells;
}

// A cell and the number of a repeat of it.
using Repeat = std::pair<std::string, int64_t>;

std::set<Repeat> repeats_of(const ResultsStore& store) {
  std::set<Repeat> done;
  for (const LatencyRow& row : store.latency()) done.emplace(row.cell_id, row.repeat);
  return done;
}

Measurement measurement_of(const LatencyPlan& plan, const LatencyCell& cell,
                           const LatencyInput& input) {
  const SweepConfig& config = plan.config;
  Measurement asked{.model = config.model.path.string(),
                    .dtype = dtype_name(plan.model.dtype),
                    .device = plan.model.device.str(),
                    .threads = config.threads,
                    .plugins = {},
                    .policy = config.policies[cell.policy],
                    .ratio = cell.ratio,
                    .input = input,
                    .decode_tokens = cell.row.decode_tokens,
                    .batch = cell.row.batch,
                    .warmup = config.latency->warmup};
  for (const auto& plugin : config.plugins) asked.plugins.push_back(plugin.string());
  return asked;
}

// The measured values of `row` with the cell's names.
LatencyRow named(LatencyRow row, const LatencyRow& cell, int64_t repeat) {
  row.cell_id = cell.cell_id;
  row.policy_id = cell.policy_id;
  row.policy = cell.policy;
  row.ratio = cell.ratio;
  row.context_tokens = cell.context_tokens;
  row.batch = cell.batch;
  row.decode_tokens = cell.decode_tokens;
  row.repeat = repeat;
  return row;
}

std::vector<int32_t> question_of(const std::vector<SampleGroup>& groups) {
  return groups.front().at(0).prompt.question;
}

}  // namespace

LatencyInput latency_input(const std::vector<SampleGroup>& groups, int64_t length) {
  LatencyInput input;
  input.question = question_of(groups);
  const SampleGroup& first = groups.front();
  ContextFrame frame = first.format->context_frame(first.protocol().prompt);
  input.n_head = frame.n_head;
  input.tail = std::move(frame.tail);
  while (static_cast<int64_t>(input.context.size()) < length) {
    for (const auto& group : groups) {
      for (int64_t i = 0; i < group.samples->size(); ++i) {
        const auto missing = static_cast<size_t>(length) - input.context.size();
        if (missing == 0) return input;
        const auto context = group.at(i).prompt.context;
        const auto taken = std::min(missing, context.size());
        input.context.insert(input.context.end(), context.begin(),
                             context.begin() + static_cast<std::ptrdiff_t>(taken));
      }
    }
  }
  return input;
}

void check_latency(const LatencySpec& spec, const std::vector<Policy>& policies,
                   const std::vector<SampleGroup>& groups, const ModelConfig& model,
                   int64_t n_around) {
  const auto n_question = static_cast<int64_t>(question_of(groups).size());
  for (const int64_t length : spec.lengths) {
    // Before a context is made of that length, which may be beyond all memory.
    if (length > model.most_tokens() - n_question - spec.decode_tokens - 1) {
      throw_input_error(
          "latency: length {}, question of {} tokens ({} of a prompt are the chat template's) and "
          "{} decode tokens are more than the model's {}",
          length, n_question, n_around, spec.decode_tokens + 1, model.token_limit());
    }
    for (const auto& policy : policies) {
      if (length >= policy.least_tokens()) continue;
      throw_input_error("latency: length {}: policy {} needs a context of at least {} tokens",
                        length, policy.name(), policy.least_tokens());
    }
  }
}

bool measure_latency(const LatencyPlan& plan, const std::vector<SampleGroup>& groups,
                     ResultsStore& store, const std::function<bool()>& stop) {
  const std::vector<LatencyCell> cells = cells_of(plan);
  const std::set<Repeat> done = repeats_of(store);
  std::map<int64_t, LatencyInput> inputs;  // by length
  for (const int64_t length : plan.config.latency->lengths) {
    inputs.emplace(length, latency_input(groups, length));
  }
  for (int64_t repeat = 0; repeat < plan.config.latency->repeats; ++repeat) {
    for (const LatencyCell& cell : cells) {
      if (done.contains({cell.row.cell_id, repeat})) continue;
      if (stop && stop()) return false;
      LatencyRow row =
          measure_apart(measurement_of(plan, cell, inputs.at(cell.row.context_tokens)));
      // Ctrl-C reaches that process, too.
      if (!row.error.empty() && stop && stop()) return false;
      store.add_latency(named(std::move(row), cell.row, repeat));
    }
  }
  return true;
}

bool is_measured(const LatencyPlan& plan, const ResultsStore& store) {
  const std::set<Repeat> done = repeats_of(store);
  for (const LatencyCell& cell : cells_of(plan)) {
    for (int64_t repeat = 0; repeat < plan.config.latency->repeats; ++repeat) {
      if (!done.contains({cell.row.cell_id, repeat})) return false;
    }
  }
  return true;
}

}  // namespace kvbench
