#include "tasks/own/own_task.h"

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/yaml.h"
#include "harness/base/yaml_map.h"
#include "tasks/file_source.h"
#include "tasks/metrics.h"
#include "tasks/prompt_texts.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

constexpr int64_t kMostTokens = 1'000'000;

class OwnTask : public Task {
 public:
  OwnTask(std::string name, const YamlNode& settings) : name_(std::move(name)) {
    const YamlMap map(settings, "the task",
                      {"metric", "parameters", "max_new_tokens", "context", "question",
                       "answer_prefix", "chat_template", "prefix_in_turn", "end", "first_token",
                       "first_line", "strip_start", "exact"});
    max_new_tokens_ = map.integer("max_new_tokens", 0, 1, kMostTokens);
    if (max_new_tokens_ == 0) map.require("max_new_tokens");
    if (map.find("context") != nullptr) context_ = read_prompt_text(map, "context", {"{context}"});
    if (map.find("question") != nullptr) {
      question_ = read_prompt_text(map, "question", {"{question}"});
    }
    answer_prefix_ = read_prompt_text(map, "answer_prefix", {});
    read_rules(map);
  }

  const std::string& name() const override { return name_; }
  Protocol protocol(const TaskRequest& request) const override {
    if (!request.answer_prefix) {
      throw_input_error("{}: answer_prefix: off is RULER's; the task's own file and lines say it",
                        name_);
    }
    Protocol protocol = protocol_;
    protocol.prompt = as_requested(protocol.prompt, request);
    return protocol;
  }

  std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                     const TokenCounter&) const override {
    if (request.file.empty()) {
      throw_input_error("{}: expected file (JSON lines), lengths cannot be generated", name_);
    }
    return std::make_unique<FileSource>(
        request.file, request.samples, protocol(request),
        [this](const JsonView& record, int64_t line) { return read_sample(record, line); });
  }

 private:
  void read_rules(const YamlMap& map) {
    Grading& grading = protocol_.grading;
    grading.metric = read_choice(map.require("metric"), "metric", metric_names());
    if (const YamlNode* parameters = map.find("parameters")) {
      require_map(*parameters, "parameters");
      grading.parameters = read_params(*parameters);
    }
    grading.first_line = map.optional("first_line", false);
    grading.strip_start = map.optional("strip_start", false);
    grading.exact_too = map.optional("exact", true);
    needs_references_ = needs_references(grading.metric, grading.parameters);
    if (!map.optional("chat_template", true)) protocol_.prompt.frame = PromptRule::Frame::kPlain;
    protocol_.prompt.prefix_in_turn = map.optional("prefix_in_turn", false);
    const std::string end = map.choice("end", "model", {"model", "newline", "never"});
    protocol_.stop.ends = end == "model"     ? StopRule::Ends::kModel
                          : end == "newline" ? StopRule::Ends::kEosOrNewline
                                             : StopRule::Ends::kNever;
    const std::string first = map.choice("first_token", "ignored", {"ends", "ignored", "excluded"});
    protocol_.stop.first = first == "ends"      ? StopRule::First::kEnds
                           : first == "ignored" ? StopRule::First::kIgnored
                                                : StopRule::First::kExcluded;
  }

  Sample read_sample(const JsonView& record, int64_t line) const {
    record.allow_only(
        {"context", "question", "answers", "answer_prefix", "max_new_tokens", "all_classes"});
    Sample sample;
    sample.id = line;
    sample.context = fill_template(context_, {{"context", record.at("context").filled_text()}});
    sample.question = fill_template(question_, {{"question", record.at("question").filled_text()}});
    sample.answer_prefix = record.text_or("answer_prefix", answer_prefix_);
    if (needs_references_ || record.find("answers")) {
      const JsonView answers = record.at("answers");
      sample.references = answers.texts();
      if (sample.references.empty()) answers.fail("expected at least one text, got an empty list");
      for (const std::string& reference : sample.references) {
        // An empty text is contained in every prediction.
        if (reference.empty()) answers.fail("expected texts that are not empty");
      }
    }
    if (const auto classes = record.find("all_classes")) sample.classes = classes->texts();
    sample.max_new_tokens = record.integer_or("max_new_tokens", 1, kMostTokens, max_new_tokens_);
    return sample;
  }

  std::string name_;
  std::string context_ = "{context}", question_ = "\n{question}", answer_prefix_;
  int64_t max_new_tokens_ = 0;
  bool needs_references_ = true;
  Protocol protocol_;
};

}  // namespace

std::unique_ptr<Task> load_own_task(const std::string& name, const std::filesystem::path& file) {
  return std::make_unique<OwnTask>(name, read_yaml(file));
}

}  // namespace kvbench
