#include "tasks/ruler/ruler_task.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/params.h"
#include "harness/base/paths.h"
#include "harness/base/registry.h"
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

  std::vector<Sample> samples(const TaskRequest& request,
                              const TokenCounter& count_tokens) const override {
    const std::vector<RulerRecord> records =
        request.file.empty() ? generate(request.length, request.samples, request.seed, count_tokens)
                             : read_ruler_file(request.file, request.samples);
    std::vector<Sample> all;
    for (const RulerRecord& record : records) {
      const std::string place = request.file.empty()
                                    ? fmt::format("{}: sample {}", name_, record.line)
                                    : fmt::format("{}:{}", request.file.string(), record.line + 1);
      ruler::PromptParts parts = ruler::split_prompt(family_, record.prompt(), place);
      all.push_back({record.line, std::move(parts.context), std::move(parts.question),
                     std::move(parts.answer_prefix), record.outputs, tokens_to_generate_,
                     record.length.value_or(0)});
    }
    return all;
  }

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
  std::string name_, family_, metric_;
  int64_t tokens_to_generate_ = 0;
  std::unique_ptr<RulerGenerator> generator_;  // null: this family is read from files only
};

template <class T>
T scalar(const YAML::Node& node, const std::string& place, const char* expected) {
  T value;
  if (!node.IsScalar() || !YAML::convert<T>::decode(node, value)) {
    throw_input_error("{}: expected {}", place, expected);
  }
  return value;
}

RulerTask::RulerTask(std::string name, const std::filesystem::path& file) : name_(std::move(name)) {
  const auto place = [&](const YAML::Node& node, const std::string& key) {
    return fmt::format("{}:{}: {}", file.string(), node.Mark().line + 1, key);
  };
  const auto one_of = [&](const YAML::Node& node, const std::string& key,
                          const std::vector<std::string>& known) {
    const std::string word = scalar<std::string>(node, place(node, key), "a name");
    if (std::find(known.begin(), known.end(), word) == known.end()) {
      throw InputError(place(node, key) + ": " + unknown_name(key, word, known));
    }
    return word;
  };
  const YAML::Node root = YAML::LoadFile(file.string());
  if (!root.IsMap()) throw_input_error("{}: expected a map", file.string());
  std::vector<Params::Given> parameters;
  for (const auto& entry : root) {
    const auto key = entry.first.as<std::string>();
    const YAML::Node& node = entry.second;
    if (key == "family") {
      family_ = one_of(node, key, ruler::family_names());
    } else if (key == "metric") {
      metric_ = one_of(node, key, metric_names());
    } else if (key == "tokens_to_generate") {
      tokens_to_generate_ = scalar<int64_t>(node, place(node, key), "an integer");
    } else if (key == "parameters") {
      if (!node.IsMap()) throw_input_error("{}: expected a map", place(node, key));
      for (const auto& parameter : node) {
        const auto word = parameter.first.as<std::string>();
        const auto text = scalar<std::string>(parameter.second, place(node, word), "a value");
        parameters.push_back({word, text, parameter.second.Mark().line + 1});
      }
    } else {
      throw InputError(
          place(entry.first, "") +
          unknown_name("key", key, {"family", "metric", "parameters", "tokens_to_generate"}));
    }
  }
  if (family_.empty() || metric_.empty() || tokens_to_generate_ < 1) {
    throw_input_error("{}: expected family, metric and tokens_to_generate (at least 1)",
                      file.string());
  }
  const auto& generators = Registry<RulerGenerator>::instance();
  const auto known = generators.names();
  if (std::find(known.begin(), known.end(), family_) != known.end()) {
    Params params(family_, file.string(), std::move(parameters));
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
  try {
    return std::make_unique<RulerTask>(name, file);
  } catch (const YAML::Exception& error) {
    throw_input_error("{}:{}: {}", file.string(), error.mark.line + 1, error.msg);
  }
}

}  // namespace kvbench
