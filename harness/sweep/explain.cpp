#include "harness/sweep/explain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/text.h"
#include "harness/engine/compress.h"
#include "harness/model/decoder.h"
#include "harness/model/open_model.h"
#include "harness/results/results_file.h"
#include "harness/sweep/cells.h"
#include "policies/plugins.h"
#include "tasks/grading.h"

namespace kvbench {
namespace {

// The sweep with nothing but the task that is asked for.
SweepConfig only_task(SweepConfig config, const std::string& task) {
  std::vector<std::string> names;
  for (const auto& spec : config.tasks) names.push_back(spec.task);
  if (std::find(names.begin(), names.end(), task) == names.end()) {
    throw_input_error("--task: {}", unknown_name("task", task, names));
  }
  std::erase_if(config.tasks, [&](const auto& spec) { return spec.task != task; });
  return config;
}

// A text of some length by its two ends, line breaks shown.
std::string shown(const std::string& text) {
  constexpr size_t kEnd = 400;
  std::string line;
  for (const char c : text) line += c == '\n' ? std::string("\\n") : std::string(1, c);
  if (line.size() <= 2 * kEnd) return line;
  const size_t head = cut_before(line, kEnd), tail = cut_behind(line, line.size() - kEnd);
  return fmt::format("{}\n    ... {} bytes ...\n    {}", line.substr(0, head), tail - head,
                     line.substr(tail));
}

std::string ids(const std::vector<int32_t>& tokens) {
  constexpr size_t kEnd = 16;
  if (tokens.size() <= 2 * kEnd) return fmt::format("{}", fmt::join(tokens, " "));
  return fmt::format("{} ... {}", fmt::join(tokens.begin(), tokens.begin() + kEnd, " "),
                     fmt::join(tokens.end() - kEnd, tokens.end(), " "));
}

std::string prompt_text(const SampleGroup& group, const PromptSample& made,
                        const PromptFormat& format, const ModelConfig& model) {
  const auto& [sample, prompt] = std::tie(made.sample, made.prompt);
  const Protocol& protocol = group.protocol();
  std::string text =
      fmt::format("{}, sample {} of {} (compress {}), sample_hash {}\n\n", group.request.name,
                  sample.id, group.source, group.compress, made.sample_hash);
  text += fmt::format("protocol             {}\n", protocol.name);
  text += fmt::format("prompt rule          {}\n", describe(protocol.prompt));
  text += fmt::format("chat template        {}\n", protocol.prompt.frame == PromptRule::Frame::kChat
                                                       ? template_text(format)
                                                       : "not for this task");
  text += fmt::format("before the context   {}\n", shown(format.around(protocol.prompt).head));
  text += fmt::format("context              {}\n", shown(sample.context));
  text += fmt::format("question             {}{}\n", shown(sample.question),
                      group.compress == "prompt" ? "   (cut with the context)" : "");
  text += fmt::format("after the question   {}\n", shown(format.around(protocol.prompt).tail));
  text += fmt::format("answer prefix        {}\n", shown(sample.answer_prefix));
  text += fmt::format("compressed text      {}\n", shown(prompt.context_text));
  text += fmt::format("asked after it       {}\n", shown(prompt.question_text));
  text += fmt::format("context tokens       {}: {}\n", prompt.context.size(), ids(prompt.context));
  text +=
      fmt::format("question tokens      {}: {}\n", prompt.question.size(), ids(prompt.question));
  text += fmt::format("truncated            {}; {}\n",
                      prompt.n_cut == 0 ? "nothing" : fmt::format("{} tokens", prompt.n_cut),
                      model.token_limit());
  const auto ends = format.end_tokens(model, protocol.stop.ends);
  text += fmt::format(
      "answer               up to {} tokens; {}{}\n", sample.max_new_tokens,
      describe(protocol.stop),
      ends.empty() ? " (it has none)" : fmt::format(": id {}", fmt::join(ends, " or ")));
  text += fmt::format("references           {}\n", json_list(sample.references));
  if (!sample.classes.empty()) {
    text += fmt::format("classes              {}\n", shown(json_list(sample.classes)));
  }
  return text + fmt::format("metric               {}\n", describe(protocol.grading));
}

std::string answer_text(const SampleRow& row, const Sample& sample, const Grading& grading) {
  std::string text = fmt::format("\n{} at {}: ", row.policy, ratio_name(row.ratio));
  if (!row.error.empty()) return text + fmt::format("failed: {}\n", row.error);
  text += fmt::format("score {:.1f}, {:.1f} % kept, {} tokens said\n  {}\n", row.score,
                      100 * row.kept_ratio, row.generated_tokens, shown(row.prediction));
  if (const auto part = graded_part(grading, row.prediction); part != row.prediction) {
    text += fmt::format("  graded: {}\n", shown(part));
  }
  for (const auto& reference : sample.references) {
    text += fmt::format("  \"{}\" alone would score {:.1f}\n", shown(reference),
                        score_of(grading, {row.prediction, {reference}, sample.classes}));
  }
  return text;
}

// Where the token ids of `needle` begin in `context`, as it is tokenised in some surroundings.
std::vector<size_t> find_tokens(const std::vector<int32_t>& context, const std::string& needle,
                                const Tokenizer& tokenizer, size_t& length) {
  std::vector<size_t> places;
  for (const char* before : {" ", ""}) {
    const auto wanted = tokenizer.encode(before + needle);
    length = wanted.size();
    if (wanted.empty()) continue;
    auto at = context.begin();
    while ((at = std::search(at, context.end(), wanted.begin(), wanted.end())) != context.end()) {
      places.push_back(static_cast<size_t>(at - context.begin()));
      ++at;
    }
    if (!places.empty()) return places;
  }
  return places;
}

std::string kept_text(const SweepConfig& config, const OpenModel& opened, const Policy& policy,
                      double ratio, const SampleGroup& group, const PromptSample& prompt,
                      const Tokenizer& tokenizer) {
  if (policy.needs_answer()) return "\nWhat an oracle keeps depends on the full cache's answer.\n";
  const Decoder model(config.model.path, opened.dtype, opened.device);
  CompressOptions options;
  options.seed = group.seed(prompt);
  options.keep_positions = true;
  options.frame = group.format->context_frame(group.protocol().prompt);
  const Compressed compressed =
      compress_context(model, prompt.prompt.context, {{&policy, told_ratio(ratio)}}, options);
  const CompressedCache& cut = compressed.caches[0];
  if (!cut.error.empty())
    return fmt::format("\n{} at {} fails: {}\n", policy.name(), ratio_name(ratio), cut.error);
  const size_t n_tokens = prompt.prompt.context.size();
  std::vector<double> share(n_tokens, 0);  // of all heads that keep the token
  const double n_heads =
      static_cast<double>(opened.config.n_budgeted_layers() * opened.config.n_kv_heads);
  for (const auto& layer : cut.kept) {
    for (const auto position : layer.positions) share[static_cast<size_t>(position)] += 1 / n_heads;
  }
  const auto mean = [&](size_t begin, size_t end) {
    double sum = 0;
    for (size_t i = begin; i < end; ++i) sum += share[i];
    return 100 * sum / static_cast<double>(end - begin);
  };
  std::string text = fmt::format("\n{} at {} keeps {:.1f} % of the context's entries",
                                 policy.name(), ratio_name(ratio), mean(0, n_tokens));
  constexpr size_t kParts = 20;
  text += ", by twentieths of the context:\n ";
  for (size_t i = 0; i < kParts; ++i) {
    const size_t begin = i * n_tokens / kParts, end = (i + 1) * n_tokens / kParts;
    if (begin < end) text += fmt::format(" {:.0f}", mean(begin, end));
  }
  text += "\n";
  for (const auto& reference : prompt.sample.references) {
    size_t length = 0;
    const auto places = find_tokens(prompt.prompt.context, reference, tokenizer, length);
    text += fmt::format("  \"{}\" in the context: ", shown(reference));
    if (places.empty()) text += "not found word for word";
    for (const auto place : places) {
      text += fmt::format("{}tokens {} to {}, {:.1f} % kept", place == places[0] ? "" : "; ", place,
                          place + length - 1, mean(place, place + length));
    }
    text += "\n";
  }
  return text;
}

const Policy& find_policy(const std::vector<Policy>& policies, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& policy : policies) {
    if (policy.name() == name) return policy;
    names.push_back(policy.name());
  }
  throw_input_error("--policy: {}", unknown_name("policy", name, names));
}

}  // namespace

std::string explain(const SweepConfig& sweep, const ExplainOptions& options) {
  const SweepConfig config = only_task(sweep, options.task);
  load_plugins(config.plugins);
  std::vector<Policy> policies;
  for (const auto& spec : config.policies) policies.emplace_back(spec);
  const Policy* policy = options.policy.empty() ? nullptr : &find_policy(policies, options.policy);
  const OpenModel opened = open_model(config.model, config.device);
  const PromptFormat format(config.model.path, config.chat_template);
  std::string text;
  const bool is_stored =
      std::filesystem::exists(options.results.empty() ? config.output : options.results);
  if (!options.results.empty() && !is_stored) {
    throw_input_error("--results: no such file: {}", options.results.string());
  }
  std::vector<SampleRow> rows;
  if (is_stored) {
    rows = read_results(options.results.empty() ? config.output : options.results).rows;
  }
  for (const auto& group : open_groups(config, format, opened.config, "")) {
    const auto i = group.index_of(options.sample);
    if (!i) continue;
    const PromptSample made = group.at(*i);
    text += (text.empty() ? "" : "\n") + prompt_text(group, made, format, opened.config);
    for (const SampleRow& row : rows) {
      if (row.sample_hash != made.sample_hash || row.task != options.task) continue;
      if (policy != nullptr && row.policy != policy->name()) continue;
      if (options.ratio && row.ratio != *options.ratio && !policy->is_full()) continue;
      text += answer_text(row, made.sample, group.protocol().grading);
    }
    if (policy != nullptr && options.ratio) {
      text += kept_text(config, opened, *policy, policy->is_full() ? 0 : *options.ratio, group,
                        made, format.tokenizer());
    }
  }
  if (text.empty()) {
    throw_input_error("--sample {}: {} has no such sample", options.sample, options.task);
  }
  return text;
}

}  // namespace kvbench
