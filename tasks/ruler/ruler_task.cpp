#include "tasks/ruler/ruler_task.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/params.h"
#include "harness/base/paths.h"
#include "harness/base/registry.h"
#include "harness/base/yaml_map.h"
#include "tasks/file_source.h"
#include "tasks/metrics.h"
#include "tasks/ruler/needles.h"
#include "tasks/ruler/split.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using ruler::RulerGenerator;

class RulerTask : public Task {
 public:
  RulerTask(std::string name, const std::filesystem::path& file);

  const std::string& name() const override { return name_; }
  Protocol protocol(const TaskRequest& request) const override {
    Protocol protocol;
    if (!request.answer_prefix) protocol.name += ", no answer prefix";
    protocol.prompt = as_requested(protocol.prompt, request);
    protocol.stop.first = StopRule::First::kIgnored;
    protocol.grading.metric = metric_;
    return protocol;
  }

  bool can_generate() const override { return true; }
  std::filesystem::path file_in(const std::filesystem::path& folder) const override {
    return folder / name_.substr(name_.find('/') + 1) / "validation.jsonl";
  }

  std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                     const TokenCounter& count_tokens) const override;

  std::vector<RulerRecord> generate(int64_t length, int64_t samples, uint64_t seed,
                                    const TokenCounter& count_tokens) const {
    return generator_->generate(generate_request(length, samples, seed), count_tokens);
  }

 private:
  class Generated;

  ruler::GenerateRequest generate_request(int64_t length, int64_t samples, uint64_t seed) const {
    if (length < 1) throw_input_error("{}: length: expected at least 1, got {}", name_, length);
    if (samples < 1) throw_input_error("{}: samples: expected at least 1, got {}", name_, samples);
    return {.task = name_,
            .length = length,
            .samples = samples,
            .tokens_to_generate = tokens_to_generate_,
            .seed = seed,
            .data = deps_dir() / "data"};
  }

  // `place` names the sample in errors. Without the answer prefix the prompt is RULER's `input`
  // alone.
  Sample to_sample(const RulerRecord& record, const std::string& place, bool answer_prefix) const {
    ruler::PromptParts parts = ruler::split_prompt(family_, record.prompt(), place);
    if (!answer_prefix) parts = ruler::without_answer_prefix(std::move(parts));
    std::vector<std::string> needles = ruler::needles_of(family_, parts.context, record.outputs);
    return {.id = record.line,
            .context = std::move(parts.context),
            .question = std::move(parts.question),
            .answer_prefix = std::move(parts.answer_prefix),
            .references = record.outputs,
            .needles = std::move(needles),
            .max_new_tokens = tokens_to_generate_,
            .length = record.length.value_or(0)};
  }

  std::string name_, family_, metric_;
  int64_t tokens_to_generate_ = 0;
  std::unique_ptr<RulerGenerator> generator_;
};

// No sample is kept.
class RulerTask::Generated : public SampleSource {
 public:
  Generated(const RulerTask& task, const TaskRequest& request, const TokenCounter& count_tokens)
      : task_(task),
        protocol_(task.protocol(request)),
        size_(request.samples),
        answer_prefix_(request.answer_prefix),
        records_(task.generator_->start(
            task.generate_request(request.length, request.samples, request.seed), count_tokens)) {}

  const Protocol& protocol() const override { return protocol_; }
  int64_t size() const override { return size_; }
  Sample sample(int64_t i) const override {
    return task_.to_sample(records_->sample(i), fmt::format("{}: sample {}", task_.name(), i),
                           answer_prefix_);
  }

 private:
  const RulerTask& task_;
  Protocol protocol_;
  int64_t size_;
  bool answer_prefix_;
  std::unique_ptr<ruler::RecordSource> records_;
};

std::unique_ptr<SampleSource> RulerTask::open(const TaskRequest& request,
                                              const TokenCounter& count_tokens) const {
  if (request.file.empty()) {
    return std::make_unique<Generated>(*this, request, count_tokens);
  }
  const auto read = [this, with_prefix = request.answer_prefix](const JsonView& line,
                                                                int64_t number) {
    return to_sample(read_ruler_record(line, number), line.file(), with_prefix);
  };
  return std::make_unique<FileSource>(request.file, request.samples, protocol(request), read);
}

RulerTask::RulerTask(std::string name, const std::filesystem::path& file) : name_(std::move(name)) {
  const YamlNode root = read_yaml(file);
  const YamlMap map(root, "the task", {"family", "metric", "parameters", "tokens_to_generate"});
  family_ = read_choice(map.require("family"), "family", ruler::family_names());
  metric_ = read_choice(map.require("metric"), "metric", metric_names());
  tokens_to_generate_ = map.required<int64_t>("tokens_to_generate");
  check_range(map.require("tokens_to_generate"), "tokens_to_generate", tokens_to_generate_, 1,
              INT32_MAX);
  std::vector<Params::Given> given;
  if (const YamlNode* parameters = map.find("parameters")) {
    require_map(*parameters, "parameters");
    given = read_params(*parameters);
  }
  Params params(family_, file.string(), std::move(given));
  generator_ = Registry<RulerGenerator>::instance().find(family_).make(params);
  params.finish();
}

const RulerTask& find_ruler_task(const std::string& name) {
  const auto* task = dynamic_cast<const RulerTask*>(&find_task(name));
  if (task == nullptr) throw_input_error("{}: is no RULER task", name);
  return *task;
}

}  // namespace

std::vector<RulerRecord> generate_ruler(const std::string& task, int64_t length, int64_t samples,
                                        uint64_t seed, const TokenCounter& count_tokens) {
  return find_ruler_task(task).generate(length, samples, seed, count_tokens);
}

std::unique_ptr<Task> load_ruler_task(const std::string& name, const std::filesystem::path& file) {
  return std::make_unique<RulerTask>(name, file);
}

}  // namespace kvbench
