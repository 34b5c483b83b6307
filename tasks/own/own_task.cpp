#include "tasks/own/own_task.h"

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/yaml.h"
#include "harness/base/yaml_map.h"
#include "tasks/file_source.h"
#include "tasks/metrics.h"

namespace kvbench {
namespace {

constexpr int64_t kMostTokens = 1'000'000;

std::string filled_text(const JsonView& record, const char* key) {
  const JsonView view = record.at(key);
  const std::string& text = view.text();
  if (text.empty()) view.fail("expected a text that is not empty");
  return text;
}

class OwnTask : public Task {
 public:
  OwnTask(std::string name, const YamlNode& settings) : name_(std::move(name)) {
    const YamlMap map(settings, "the task", {"metric", "max_new_tokens"});
    metric_ = read_choice(map.require("metric"), "metric", metric_names());
    max_new_tokens_ = map.integer("max_new_tokens", 0, 1, kMostTokens);
    if (max_new_tokens_ == 0) map.require("max_new_tokens");
  }

  const std::string& name() const override { return name_; }
  std::string metric() const override { return metric_; }

  std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                     const TokenCounter&) const override {
    if (request.file.empty()) {
      throw_input_error("{}: expected file (JSON lines), lengths cannot be generated", name_);
    }
    Protocol protocol;
    protocol.stop.first = StopRule::First::kIgnored;
    protocol.grading.metric = metric_;
    return std::make_unique<FileSource>(
        request.file, request.samples, protocol,
        [this](const JsonView& record, int64_t line) { return read_sample(record, line); });
  }

 private:
  Sample read_sample(const JsonView& record, int64_t line) const {
    record.allow_only({"context", "question", "answers", "answer_prefix", "max_new_tokens"});
    Sample sample;
    sample.id = line;
    sample.context = filled_text(record, "context");
    sample.question = "\n" + filled_text(record, "question");
    sample.answer_prefix = record.text_or("answer_prefix", "");
    const JsonView answers = record.at("answers");
    sample.references = answers.texts();
    if (sample.references.empty()) answers.fail("expected at least one text, got an empty list");
    for (const std::string& reference : sample.references) {
      // An empty text is contained in every prediction.
      if (reference.empty()) answers.fail("expected texts that are not empty");
    }
    sample.max_new_tokens = record.integer_or("max_new_tokens", 1, kMostTokens, max_new_tokens_);
    return sample;
  }

  std::string name_, metric_;
  int64_t max_new_tokens_ = 0;
};

}  // namespace

std::unique_ptr<Task> load_own_task(const std::string& name, const std::filesystem::path& file) {
  return std::make_unique<OwnTask>(name, read_yaml(file));
}

}  // namespace kvbench
