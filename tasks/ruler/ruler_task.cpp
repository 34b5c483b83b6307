#include "tasks/ruler/ruler_task.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/params.h"
#include "harness/base/paths.h"
#include "harness/base/registry.h"
#include "harness/base/yaml_map.h"
#include "tasks/file_source.h"
#include "tasks/metrics.h"
#include "tasks/ruler/split.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using ruler::RulerGenerator;

class RulerTask : public Task {
 public:
  RulerTask(std::string name, const std::filesystem::path& file);

  const std::string& name() const override { return name_; }
  std::string metric() const override { return metric_; }

  bool can_generate() const override { return generator_ != nullptr; }
  std::filesystem::path file_in(const std::filesystem::path& folder) const override {
    return folder / name_.substr(name_.find('/') + 1) / "validation.jsonl";
  }

  std::unique_ptr<SampleSource> open(const TaskRequest& request,
                                     const TokenCounter& count_tokens) const override;

  std::vector<RulerRecord> generate(int64_t length, int64_t samples, uint64_t seed,
                                    const TokenCounter& count_tokens) const {
    if (!generator_) {
      throw_input_error(
          "{}: cannot be generated, there is no generator for {} (there are: {}); give an official "
          "file instead",
          name_, family_, join(Registry<RulerGenerator>::instance().names(), ", "));
    }
    if (length < 1) throw_input_error("{}: length: expected at least 1, got {}", name_, length);
    if (samples < 1) throw_input_error("{}: samples: expected at least 1, got {}", name_, samples);
    return generator_->generate({.task = name_,
                                 .length = length,
                                 .samples = samples,
                                 .tokens_to_generate = tokens_to_generate_,
                                 .seed = seed,
                                 .data = deps_dir() / "data"},
                                count_tokens);
  }

 private:
  class Generated;

  // Official runs of January 2025 to July 2026 lost the answer prefix: the model saw `input` alone.
  Sample sample(const RulerRecord& record, bool with_prefix, const std::string& place) const {
    ruler::PromptParts parts = ruler::split_prompt(family_, record.prompt(), place);
    return {.id = record.line,
            .context = std::move(parts.context),
            .question = std::move(parts.question),
            .answer_prefix = with_prefix ? std::move(parts.answer_prefix) : "",
            .references = record.outputs,
            .max_new_tokens = tokens_to_generate_,
            .length = record.length.value_or(0)};
  }

  std::string name_, family_, metric_;
  int64_t tokens_to_generate_ = 0;
  std::unique_ptr<RulerGenerator> generator_;  // null: this family is read from files only
};

class RulerTask::Generated : public SampleSource {
 public:
  Generated(const RulerTask& task, Protocol protocol, std::vector<RulerRecord> records)
      : task_(task), protocol_(std::move(protocol)), records_(std::move(records)) {}

  const Protocol& protocol() const override { return protocol_; }
  int64_t size() const override { return static_cast<int64_t>(records_.size()); }
  Sample sample(int64_t i) const override {
    return task_.sample(records_.at(static_cast<size_t>(i)), protocol_.name == "official",
                        fmt::format("{}: sample {}", task_.name(), i));
  }

 private:
  const RulerTask& task_;
  Protocol protocol_;
  std::vector<RulerRecord> records_;
};

std::unique_ptr<SampleSource> RulerTask::open(const TaskRequest& request,
                                              const TokenCounter& count_tokens) const {
  const bool with_prefix = request.answer_prefix;
  Protocol protocol;
  protocol.name = with_prefix ? "official" : "official, no answer prefix";
  protocol.stop.first = StopRule::First::kIgnored;
  protocol.grading.metric = metric_;
  if (request.file.empty()) {
    return std::make_unique<Generated>(
        *this, protocol, generate(request.length, request.samples, request.seed, count_tokens));
  }
  const auto read = [this, with_prefix](const JsonView& line, int64_t number) {
    return sample(read_ruler_record(line, number), with_prefix, line.file());
  };
  return std::make_unique<FileSource>(request.file, request.samples, protocol, read);
}

std::vector<Params::Given> read_parameters(const YamlNode& map) {
  require_map(map, "parameters");
  std::vector<Params::Given> parameters;
  for (size_t i = 0; i < map.keys.size(); ++i) {
    std::string text;
    read_value(map.items[i], map.keys[i].text, text);
    parameters.push_back({map.keys[i].text, text, map.items[i].line});
  }
  return parameters;
}

RulerTask::RulerTask(std::string name, const std::filesystem::path& file) : name_(std::move(name)) {
  const YamlNode root = read_yaml(file);
  const YamlMap map(root, "the task", {"family", "metric", "parameters", "tokens_to_generate"});
  family_ = read_choice(map.require("family"), "family", ruler::family_names());
  metric_ = read_choice(map.require("metric"), "metric", metric_names());
  tokens_to_generate_ = map.required<int64_t>("tokens_to_generate");
  check_range(map.require("tokens_to_generate"), "tokens_to_generate", tokens_to_generate_, 1,
              INT32_MAX);
  const YamlNode* given = map.find("parameters");
  const auto& generators = Registry<RulerGenerator>::instance();
  const auto known = generators.names();
  if (std::find(known.begin(), known.end(), family_) != known.end()) {
    Params params(family_, file.string(),
                  given == nullptr ? std::vector<Params::Given>() : read_parameters(*given));
    generator_ = generators.find(family_).make(params);
    params.finish();
  }
}

}  // namespace

std::vector<RulerRecord> generate_ruler(const std::string& task, int64_t length, int64_t samples,
                                        uint64_t seed, const TokenCounter& count_tokens) {
  const auto* ruler_task = dynamic_cast<const RulerTask*>(&find_task(task));
  if (ruler_task == nullptr) throw_input_error("{}: is no RULER task", task);
  return ruler_task->generate(length, samples, seed, count_tokens);
}

std::unique_ptr<Task> load_ruler_task(const std::string& name, const std::filesystem::path& file) {
  return std::make_unique<RulerTask>(name, file);
}

}  // namespace kvbench
