#include "harness/sweep/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "tasks/grading.h"
#include "tasks/rollouts.h"

namespace kvbench {
namespace {

std::string bytes_of(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

// What a file of samples is known by: its first one.
std::string file_id(const Sample& first) {
  std::string parts;
  for (const auto* text : {&first.context, &first.question, &first.answer_prefix}) {
    parts += sha256_hex(*text);
  }
  for (const auto& reference : first.references) parts += sha256_hex(reference);
  return short_hash(parts);
}

std::string source_id(const SampleGroup& group, const Sample& first) {
  return group.request.file.empty() ? fmt::format("generated, length {}", group.request.length)
                                    : "file " + file_id(first);
}

// A length that is asked for is refused before anything is generated; the samples of a file that is
// never cut are looked at one by one.
void check_lengths(const SampleGroup& group) {
  const auto& [request, rule] = std::tie(group.request, group.protocol().prompt);
  if (rule.cut != PromptRule::Cut::kNever) return;
  const int64_t n_checked = request.file.empty() ? 1 : group.samples->size();
  for (int64_t i = 0; i < n_checked; ++i) group.at(i);
}

}  // namespace

PromptSample SampleGroup::at(int64_t i) const {
  PromptSample made;
  made.sample = samples->sample(i);
  if (max_new_tokens > 0) made.sample.max_new_tokens = max_new_tokens;
  const int64_t n_answer = made.sample.max_new_tokens;
  made.prompt = format->prompt(made.sample, protocol().prompt, compress == "prompt",
                               model->most_tokens() - n_answer);
  const auto& [context, question] = std::tie(made.prompt.context, made.prompt.question);
  made.context_id = short_hash(bytes_of(context));
  made.sample_hash = short_hash(made.context_id + bytes_of(question));
  made.needles = spans_of(format->tokenizer(), made.prompt, made.sample.needles);
  made.length = request.length > 0 ? request.length : made.sample.length;
  if (made.length == 0) {
    made.length = static_cast<int64_t>(context.size() + question.size()) + n_answer;
  }
  check_prompt(fmt::format("task {}, sample {}", request.name, made.sample.id), *model, context,
               question, n_answer, format->n_around());
  return made;
}

std::optional<int64_t> SampleGroup::index_of(int64_t sample_id) const {
  int64_t low = 0, high = samples->size();
  while (low < high) {  // ids ascend
    const int64_t middle = low + (high - low) / 2;
    if (samples->id(middle) < sample_id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  if (low == samples->size() || samples->id(low) != sample_id) return std::nullopt;
  return low;
}

std::vector<std::vector<int64_t>> SampleGroup::by_context() const {
  std::vector<std::vector<int64_t>> groups;
  std::map<std::string, size_t> known;
  for (int64_t i = 0; i < samples->size(); ++i) {
    const auto [it, is_new] = known.try_emplace(samples->context_key(i), groups.size());
    if (is_new) groups.emplace_back();
    groups[it->second].push_back(i);
  }
  return groups;
}

int64_t SampleGroup::about_tokens(int64_t i) const {
  constexpr int64_t kBytesOfToken = 4;
  return request.length > 0 ? request.length : samples->context_bytes(i) / kBytesOfToken;
}

uint64_t SampleGroup::seed(const PromptSample& prompt) const {
  // Odd and large, so that seeds of rollouts are no other context's.
  constexpr uint64_t kOfARollout = 0xd1342543de82ef95;
  return request.seed + std::stoull(prompt.context_id, nullptr, 16) +
         kOfARollout * static_cast<uint64_t>(rollout_of(prompt.sample.id));
}

std::vector<SampleGroup> open_groups(const SweepConfig& config, const PromptFormat& format,
                                     const ModelConfig& model, const std::string& identity) {
  const TokenCounter count_tokens = [&](std::string_view text) {
    return static_cast<int64_t>(format.tokenizer().encode(text).size());
  };
  std::map<std::string, int> known;  // how many sources look alike
  std::vector<SampleGroup> groups;
  for (const auto& spec : config.tasks) {
    const Task& task = find_task(spec.task);
    for (const auto& request : spec.requests()) {
      SampleGroup group;
      group.request = request;
      group.source = request.file.empty() ? "generated" : spec.file_as_written;
      group.max_new_tokens = spec.max_new_tokens;
      group.samples = with_rollouts(task.open(request, count_tokens), request.rollouts);
      group.format = &format;
      group.model = &model;
      const Sample first = group.samples->sample(0);
      const Protocol& protocol = group.protocol();
      std::string decides = fmt::format(
          "{}\ntask {}\nprotocol {}: {}; {}; {}\nseed {}\nmax_new_tokens {}\nsource {}\n", identity,
          request.name, protocol.name, describe(protocol.prompt), describe(protocol.stop),
          describe(protocol.grading), request.seed,
          spec.max_new_tokens > 0 ? spec.max_new_tokens : first.max_new_tokens,
          source_id(group, first));
      const std::string sampling = describe(request.sampling);
      if (!sampling.empty()) decides += sampling + "\n";
      // Two files that begin alike are two sources all the same.
      if (const int before = known[decides]++; before > 0) {
        decides += fmt::format("file {} that begins so\n", before + 1);
      }
      group.data_hash = request.file.empty() ? file_id(first) : sha256_file(request.file);
      for (const auto& compress : config.compress) {
        group.compress = compress;
        group.group_id = short_hash(decides + "compress " + compress);
        check_lengths(group);
        groups.push_back(group);
      }
    }
  }
  return groups;
}

int64_t SweepCell::most_kept(int64_t n_tokens) const {
  const double kept = std::isnan(row.ratio) ? 1 : 1 - row.ratio;
  return static_cast<int64_t>(std::ceil(kept * static_cast<double>(n_tokens)));
}

std::vector<double> ratios_of(const Policy& policy, const std::vector<double>& ratios) {
  if (policy.is_full()) return {0};
  if (policy.ignores_ratio()) return {std::numeric_limits<double>::quiet_NaN()};
  return ratios;
}

std::string ratio_name(double ratio) {
  return std::isnan(ratio) ? "its own budget" : fmt::format("{}", ratio);
}

double told_ratio(double ratio) {
  constexpr double kAny = 0.5;
  return std::isnan(ratio) ? kAny : ratio;
}

std::vector<SweepCell> cells_of(const SampleGroup& group, const std::vector<Policy>& policies,
                                const std::vector<double>& ratios) {
  std::vector<SweepCell> cells;
  for (const auto& policy : policies) {
    for (const double ratio : ratios_of(policy, ratios)) {
      SweepCell& cell = cells.emplace_back();
      cell.policy = &policy;
      cell.ratio = told_ratio(ratio);
      cell.row.group_id = group.group_id;
      cell.row.policy_id = policy_id(policy);
      cell.row.task = group.request.name;
      cell.row.source = group.source;
      cell.row.seed = static_cast<int64_t>(group.request.seed);
      cell.row.max_length =
          group.request.file.empty() ? group.request.length : group.samples->length();
      const std::string sampling = describe(group.request.sampling);
      cell.row.protocol = group.protocol().name + (sampling.empty() ? "" : ", " + sampling);
      cell.row.metric = group.protocol().grading.metric;
      cell.row.grading = grading_json(group.protocol().grading);
      cell.row.policy = policy.name();
      cell.row.scorer = policy.scorer();
      cell.row.allocator = policy.allocator();
      cell.row.ratio = ratio;
      cell.row.compress = group.compress;
      cell.row.cell_id = short_hash(
          fmt::format("{}\n{}\n{}", group.group_id, cell.row.policy_id, ratio_name(ratio)));
    }
  }
  return cells;
}

void check_windows(const SampleGroup& group, const std::vector<Policy>& policies) {
  int64_t longest = 0, i = 0;
  for (const auto& policy : policies) {
    while (longest < policy.least_tokens() && i < group.samples->size()) {
      longest = std::max(longest, static_cast<int64_t>(group.at(i++).prompt.context.size()));
    }
    if (longest >= policy.least_tokens()) continue;
    throw_input_error(
        "policy {}: {} needs a context of at least {} tokens; the longest of {} ({}) has {}",
        policy.name(), policy.scorer(), policy.least_tokens(), group.request.name, group.source,
        longest);
  }
}

PlannedGroup plan_of(const SampleGroup& group, const std::vector<SweepCell>& cells,
                     const std::vector<int64_t>& shards_of, int64_t shard) {
  PlannedGroup plan;
  for (const auto& cell : cells) plan.cells.push_back(cell.row);
  for (int64_t i = 0; i < group.samples->size(); ++i) {
    const int64_t id = group.samples->id(i), made_by = shards_of[static_cast<size_t>(i)];
    plan.of_all_shards.push_back({group.group_id, id, made_by});
    if (made_by == shard) plan.sample_ids.push_back(id);
  }
  plan.sample = [group](int64_t id) {
    const PromptSample made = group.at(group.index_of(id).value());
    return PlannedSample{made.sample_hash, json_list(made.sample.references)};
  };
  return plan;
}

std::string json_list(const std::vector<std::string>& texts) {
  return nlohmann::json(texts).dump();
}

std::string policy_id(const Policy& policy) { return short_hash(policy.canonical()); }

}  // namespace kvbench
