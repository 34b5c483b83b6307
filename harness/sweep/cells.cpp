#include "harness/sweep/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/base/error.h"
#include "harness/base/hash.h"

namespace kvbench {
namespace {

// 64 bits tell apart whatever one results file can hold.
std::string short_hash(const std::string& text) { return sha256_hex(text).substr(0, 16); }

std::string bytes_of(const std::vector<int32_t>& ids) {
  return {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t)};
}

PromptSample tokenise(Sample sample, const std::string& compress, const PromptFormat& format) {
  PromptSample prompt;
  const bool whole_prompt = compress == "prompt";
  prompt.context = format.context(sample.context + (whole_prompt ? sample.question : ""));
  prompt.question = format.question(whole_prompt ? "" : sample.question, sample.answer_prefix);
  prompt.sample = std::move(sample);
  prompt.context_id = short_hash(bytes_of(prompt.context));
  prompt.sample_hash = short_hash(prompt.context_id + bytes_of(prompt.question));
  return prompt;
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

std::string source_id(const TaskRequest& request, const std::vector<Sample>& samples) {
  return request.file.empty() ? fmt::format("generated, length {}", request.length)
                              : "file " + file_id(samples.front());
}

}  // namespace

uint64_t SampleGroup::seed(const PromptSample& prompt) const {
  return request.seed + std::stoull(prompt.context_id, nullptr, 16);
}

std::vector<SampleGroup> load_groups(const SweepConfig& config, const PromptFormat& format,
                                     const ModelConfig& model, const std::string& identity) {
  const TokenCounter count_tokens = [&](std::string_view text) {
    return static_cast<int64_t>(format.tokenizer().encode(text).size());
  };
  const int64_t n_around = format.n_around();
  std::map<std::string, int> known;  // how many sources look alike
  std::vector<SampleGroup> groups;
  for (const auto& spec : config.tasks) {
    const Task& task = find_task(spec.task);
    for (const auto& request : spec.requests()) {
      std::vector<Sample> samples = task.samples(request, count_tokens);
      for (auto& sample : samples) {
        if (spec.max_new_tokens > 0) sample.max_new_tokens = spec.max_new_tokens;
      }
      std::string decides = fmt::format(
          "{}\ntask {}\nmetric {}\nprotocol {}\nseed {}\nmax_new_tokens {}\nsource {}\n", identity,
          request.name, task.metric(), spec.protocol, request.seed, samples.front().max_new_tokens,
          source_id(request, samples));
      // Two files that begin alike are two sources all the same.
      if (const int before = known[decides]++; before > 0) {
        decides += fmt::format("file {} that begins so\n", before + 1);
      }
      for (const auto& compress : config.compress) {
        SampleGroup& group = groups.emplace_back();
        group.request = request;
        group.source = request.file.empty() ? "generated" : spec.file_as_written;
        group.compress = compress;
        group.metric = task.metric();
        group.protocol = spec.protocol;
        group.group_id = short_hash(decides + "compress " + compress);
        std::map<std::string, int64_t> n_same;
        for (const auto& sample : samples) {
          PromptSample& prompt = group.samples.emplace_back(tokenise(sample, compress, format));
          prompt.occurrence = n_same[prompt.sample_hash]++;
          prompt.length = request.length > 0 ? request.length : sample.length;
          if (prompt.length == 0) {
            prompt.length = static_cast<int64_t>(prompt.context.size() + prompt.question.size()) +
                            sample.max_new_tokens;
          }
          check_prompt(fmt::format("task {}, sample {}", request.name, sample.id), model,
                       prompt.context, prompt.question, sample.max_new_tokens, n_around);
        }
      }
    }
  }
  return groups;
}

std::vector<double> ratios_of(const Policy& policy, const std::vector<double>& ratios) {
  if (policy.is_full()) return {0};
  if (policy.ignores_ratio()) return {std::numeric_limits<double>::quiet_NaN()};
  return ratios;
}

double told_ratio(double ratio) {
  constexpr double kAny = 0.5;
  return std::isnan(ratio) ? kAny : ratio;
}

std::vector<SweepCell> cells_of(const SampleGroup& group, const std::vector<Policy>& policies,
                                const std::vector<double>& ratios) {
  int64_t longest = 0;
  for (const auto& prompt : group.samples) longest = std::max(longest, prompt.length);
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
      cell.row.max_length = longest;
      cell.row.protocol = group.protocol;
      cell.row.metric = group.metric;
      cell.row.policy = policy.name();
      cell.row.scorer = policy.scorer();
      cell.row.allocator = policy.allocator();
      cell.row.ratio = ratio;
      cell.row.compress = group.compress;
      cell.row.cell_id =
          short_hash(fmt::format("{}\n{}\n{}", group.group_id, cell.row.policy_id,
                                 std::isnan(ratio) ? "its own budget" : fmt::format("{}", ratio)));
    }
  }
  return cells;
}

void check_windows(const SampleGroup& group, const std::vector<Policy>& policies) {
  size_t longest = 0;
  for (const auto& prompt : group.samples) longest = std::max(longest, prompt.context.size());
  for (const auto& policy : policies) {
    if (static_cast<int64_t>(longest) >= policy.least_tokens()) continue;
    throw_input_error(
        "policy {}: {} needs a context of at least {} tokens; the longest of {} ({}) has {}",
        policy.name(), policy.scorer(), policy.least_tokens(), group.request.name, group.source,
        longest);
  }
}

PlannedGroup plan_of(const SampleGroup& group, const std::vector<SweepCell>& cells) {
  PlannedGroup plan;
  for (const auto& cell : cells) plan.cells.push_back(cell.row);
  for (const auto& prompt : group.samples) {
    plan.samples.push_back(
        {prompt.sample_hash, prompt.occurrence, prompt.sample.id, references_json(prompt.sample)});
  }
  return plan;
}

std::string references_json(const Sample& sample) {
  return nlohmann::json(sample.references).dump();
}

std::string policy_id(const Policy& policy) { return short_hash(policy.canonical()); }

}  // namespace kvbench
