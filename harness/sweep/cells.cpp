#include "harness/sweep/cells.h"

#include "harness/base/hash.h"
#include "harness/engine/decode.h"
#include "harness/model/prompt.h"

namespace kvbench {
namespace {

PromptSample tokenise(Sample sample, const std::string& compress, const PromptFormat& format) {
  PromptSample prompt;
  const bool whole_prompt = compress == "prompt";
  prompt.context = format.context(sample.context + (whole_prompt ? sample.question : ""));
  prompt.question = format.question(whole_prompt ? "" : sample.question, sample.answer_prefix);
  prompt.sample = std::move(sample);
  return prompt;
}

// Identity of a group's data, whether it came from a file or a generator.
std::string hash_samples(const std::vector<Sample>& samples) {
  std::string all;
  for (const auto& sample : samples) {
    for (const auto* text : {&sample.context, &sample.question, &sample.answer_prefix}) {
      all += sha256_hex(*text);
    }
    for (const auto& reference : sample.references) all += sha256_hex(reference);
    all += fmt::format(":{}:{}\n", sample.id, sample.max_new_tokens);
  }
  return sha256_hex(all);
}

}  // namespace

std::vector<SampleGroup> load_groups(const SweepConfig& config, const PromptFormat& format,
                                     const ModelConfig& model) {
  const TokenCounter count_tokens = [&](std::string_view text) {
    return static_cast<int64_t>(format.tokenizer().encode(text).size());
  };
  std::vector<SampleGroup> groups;
  for (const auto& spec : config.tasks) {
    const Task& task = find_task(spec.task);
    for (const auto& request : spec.requests()) {
      std::vector<Sample> samples = task.samples(request, count_tokens);
      for (auto& sample : samples) {
        if (spec.max_new_tokens > 0) sample.max_new_tokens = spec.max_new_tokens;
      }
      for (const auto& compress : config.compress) {
        SampleGroup& group = groups.emplace_back();
        group.request = request;
        group.compress = compress;
        group.metric = task.metric();
        group.data_hash = hash_samples(samples);
        for (const auto& sample : samples) {
          group.samples.push_back(tokenise(sample, compress, format));
          const PromptSample& prompt = group.samples.back();
          check_prompt(fmt::format("task {}, sample {}", request.name, sample.id), model,
                       prompt.context, prompt.question, sample.max_new_tokens);
        }
      }
    }
  }
  return groups;
}

std::vector<SweepCell> cells_of(const SampleGroup& group, const std::vector<Policy>& policies,
                                const std::vector<double>& ratios, const std::string& identity) {
  std::vector<SweepCell> cells;
  for (const auto& policy : policies) {
    for (const double ratio : policy.is_full() ? std::vector<double>{0} : ratios) {
      SweepCell& cell = cells.emplace_back();
      cell.policy = &policy;
      cell.ratio = ratio;
      cell.row.task = group.request.name;
      cell.row.max_length = group.request.length;
      cell.row.policy = policy.name();
      cell.row.scorer = policy.scorer();
      cell.row.allocator = policy.allocator();
      cell.row.ratio = ratio;
      cell.row.compress = group.compress;
      cell.row.n_planned = static_cast<int64_t>(group.samples.size());
      const std::string decides =
          fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", identity, group.request.name, group.data_hash,
                      group.compress, policy.name(), policy.canonical(), ratio);
      cell.row.cell_id = sha256_hex(decides).substr(0, 16);
    }
  }
  return cells;
}

}  // namespace kvbench
