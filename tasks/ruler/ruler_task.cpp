#include "tasks/ruler/ruler_task.h"

#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/params.h"
#include "harness/base/paths.h"
#include "harness/base/registry.h"
#include "harness/base/yaml_map.h"
#include "tasks/metrics.h"
#include "tasks/ruler/split.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using ruler::RulerGenerator;
using ruler::SampleSource;

class RulerTask : public Task {
 public:
  RulerTask(std::string name, const std::filesystem::path& file);

  const std::string& name() const override { return name_; }
  std::string metric() const override { return metric_; }

  std::vector<Sample> samples(const TaskRequest& request,
                              const TokenCounter& count_tokens) const override {
    std::vector<Sample> all;
    if (!request.file.empty()) {
      for (const RulerRecord& record : read_ruler_file(request.file, request.samples)) {
        all.push_back(
            to_sample(record, fmt::format("{}:{}", request.file.string(), record.line + 1)));
      }
      return all;
    }
    const auto source = start(request.length, request.samples, request.seed, count_tokens);
    for (int64_t i = 0; i < request.samples; ++i) {
      all.push_back(to_sample(source->sample(i), fmt::format("{}: sample {}", name_, i)));
    }
    return all;
  }

  // The samples one by one: RulerTask keeps none of them.
  std::unique_ptr<SampleSource> start(int64_t length, int64_t samples, uint64_t seed,
                                      const TokenCounter& count_tokens) const {
    return generator_->start(generate_request(length, samples, seed), count_tokens);
  }

  std::vector<RulerRecord> generate(int64_t length, int64_t samples, uint64_t seed,
                                    const TokenCounter& count_tokens) const {
    return generator_->generate(generate_request(length, samples, seed), count_tokens);
  }

 private:
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

  // `place` names the sample in errors. With answer_prefix off the prompt is RULER's `input` alone.
  Sample to_sample(const RulerRecord& record, const std::string& place,
                   bool answer_prefix = true) const {
    ruler::PromptParts parts = ruler::split_prompt(family_, record.prompt(), place);
    if (!answer_prefix) parts = ruler::without_answer_prefix(std::move(parts));
    return {record.line,
            std::move(parts.context),
            std::move(parts.question),
            std::move(parts.answer_prefix),
            record.outputs,
            tokens_to_generate_,
            record.length.value_or(0)};
  }

  std::string name_, family_, metric_;
  int64_t tokens_to_generate_ = 0;
  std::unique_ptr<RulerGenerator> generator_;
};

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
  Params params(family_, file.string(),
                given == nullptr ? std::vector<Params::Given>() : read_parameters(*given));
  generator_ = Registry<RulerGenerator>::instance().find(family_).make(params);
  params.finish();
}

const RulerTask& find_ruler_task(const std::string& name) {
  const auto* task = dynamic_cast<const RulerTask*>(&find_task(name));
  if (task == nullptr) throw_input_error("{}: is no RULER task", name);
  return *task;
}

}  // namespace

std::unique_ptr<SampleSource> start_ruler(const std::string& task, int64_t length, int64_t samples,
                                          uint64_t seed, const TokenCounter& count_tokens) {
  return find_ruler_task(task).start(length, samples, seed, count_tokens);
}

std::vector<RulerRecord> generate_ruler(const std::string& task, int64_t length, int64_t samples,
                                        uint64_t seed, const TokenCounter& count_tokens) {
  return find_ruler_task(task).generate(length, samples, seed, count_tokens);
}

std::unique_ptr<Task> load_ruler_task(const std::string& name, const std::filesystem::path& file) {
  return std::make_unique<RulerTask>(name, file);
}

}  // namespace kvbench
