#include "tasks/longbench/longbench_task.h"

#include <algorithm>

#include "harness/base/error.h"
#include "tasks/file_source.h"
#include "tasks/longbench/data_file.h"
#include "tasks/text.h"

namespace kvbench {
namespace longbench {
namespace {

const std::vector<std::string>& protocol_names() {
  static const std::vector<std::string> names = {"official", "kvpress", "lukv"};
  return names;
}

// One pass: the texts that are put in hold braces of their own.
std::string fill(const std::string& text, const Item& item) {
  return fill_template(text, {{"context", item.context}, {"input", item.input}});
}

bool graded_by_what_is_contained(const std::string& metric) {
  constexpr std::string_view kMetrics[] = {"classification_score", "retrieval_score",
                                           "retrieval_zh_score", "count_score"};
  return std::find(std::begin(kMetrics), std::end(kMetrics), metric) != std::end(kMetrics);
}

PromptRule prompt_rule(const LongBenchSet& set, const std::string& protocol) {
  PromptRule rule;
  if (protocol == "official") {
    rule.frame = set.chat_template ? PromptRule::Frame::kChat : PromptRule::Frame::kPlain;
    rule.prefix_in_turn = true;
    rule.plain_tail = "";
    rule.as_one_text = true;
    rule.cut = PromptRule::Cut::kMiddle;
  } else if (protocol == "kvpress") {
    rule.cut = PromptRule::Cut::kEnd;
  } else {
    rule.prefix_in_turn = true;
    // The authors' list; lsht, a few-shot set too, is not in it.
    constexpr std::string_view kBare[] = {"trec", "triviaqa", "samsum", "lcc", "repobench-p"};
    if (std::find(std::begin(kBare), std::end(kBare), set.name) != std::end(kBare)) {
      rule.frame = PromptRule::Frame::kBare;
      rule.plain_tail = "";
    }
  }
  return rule;
}

}  // namespace

Protocol protocol_of(const LongBenchSet& set, bool is_e, const TaskRequest& request) {
  Protocol protocol;
  if (!request.protocol.empty()) protocol.name = request.protocol;
  const bool official = protocol.name == "official";
  if (!request.answer_prefix && protocol.name != "lukv") {
    throw_input_error("{}: answer_prefix: off is not a choice of protocol {}, only of lukv",
                      request.name, protocol.name);
  }
  protocol.prompt = as_requested(prompt_rule(set, protocol.name), request);
  protocol.stop.first = official ? StopRule::First::kEnds : StopRule::First::kIgnored;
  if (official && set.newline_ends) {
    protocol.stop = {StopRule::Ends::kEosOrNewline, StopRule::First::kExcluded};
  }
  protocol.grading.metric = set.metric;
  protocol.grading.first_line = set.first_line;
  protocol.grading.strip_start = protocol.name == "kvpress" && !is_e;
  protocol.grading.exact_too = graded_by_what_is_contained(set.metric);
  return protocol;
}

Pieces pieces_of(const LongBenchSet& set, const std::string& protocol, const Item& item) {
  if (protocol == "official") {
    const std::string text = fill(set.official_template, item);
    Pieces pieces;
    pieces.answer_prefix = set.prefix_in_input ? "" : set.answer_prefix;
    pieces.question = fill(set.question, item);
    // lcc's official template has no {input}.
    if (!text.ends_with(pieces.question + pieces.answer_prefix)) pieces.question = "";
    const size_t asked = pieces.question.size() + pieces.answer_prefix.size();
    pieces.context = text.substr(0, text.size() - asked);
    return pieces;
  }
  Item asked = item;
  if (set.prefix_in_input && asked.input.ends_with(set.answer_prefix)) {
    asked.input.resize(asked.input.size() - set.answer_prefix.size());
  }
  return {fill(set.context, asked), fill(set.question, asked), set.answer_prefix};
}

namespace {

class LongBenchTask : public Task {
 public:
  LongBenchTask(LongBenchSet set, bool is_e)
      : set_(std::move(set)), is_e_(is_e), name_("longbench/" + set_.name + (is_e ? "_e" : "")) {}

  const std::string& name() const override { return name_; }
  Protocol protocol(const TaskRequest& request) const override {
    return protocol_of(set_, is_e_, request);
  }
  std::vector<std::string> protocols() const override { return protocol_names(); }
  std::string data_set() const override { return "longbench"; }
  std::filesystem::path file_in(const std::filesystem::path& folder) const override {
    return folder / (name_.substr(name_.find('/') + 1) + ".jsonl");
  }

  std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                     const TokenCounter&) const override {
    if (request.file.empty()) {
      throw_input_error("{}: expected file (LongBench's JSON lines), lengths cannot be generated",
                        name_);
    }
    const Protocol rules = protocol(request);
    const bool with_prefix = request.answer_prefix;
    return std::make_unique<FileSource>(
        request.file, request.samples, rules,
        [this, name = rules.name, with_prefix](const JsonView& record, int64_t line) {
          return sample(read_longbench_item(record, set_, line), name, with_prefix, line);
        });
  }

 private:
  Sample sample(LongBenchItem item, const std::string& protocol, bool with_prefix,
                int64_t line) const {
    constexpr int64_t kMoreOfKvpress = 20;
    Pieces pieces = pieces_of(set_, protocol, {std::move(item.context), std::move(item.input)});
    if (!with_prefix) pieces.answer_prefix = "";
    return {.id = line,
            .context = std::move(pieces.context),
            .question = std::move(pieces.question),
            .answer_prefix = std::move(pieces.answer_prefix),
            .references = std::move(item.answers),
            .classes = std::move(item.classes),
            .max_new_tokens = set_.max_new_tokens + (protocol == "official" ? 0 : kMoreOfKvpress),
            .words = item.length.value_or(0)};
  }

  LongBenchSet set_;
  bool is_e_;
  std::string name_;
};

}  // namespace
}  // namespace longbench

std::vector<std::unique_ptr<Task>> load_longbench_tasks(const std::filesystem::path& file) {
  const auto set = longbench::read_longbench_set(file);
  std::vector<std::unique_ptr<Task>> tasks;
  tasks.push_back(std::make_unique<longbench::LongBenchTask>(set, /*is_e=*/false));
  if (set.e) tasks.push_back(std::make_unique<longbench::LongBenchTask>(set, /*is_e=*/true));
  return tasks;
}

}  // namespace kvbench
