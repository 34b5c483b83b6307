#include "harness/config/sweep_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>

#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"
#include "harness/config/policy_yaml.h"
#include "harness/config/yaml_files.h"

namespace kvbench {
namespace {

// Nothing real comes near; below it, products of two settings cannot overflow.
constexpr int64_t kMost = 1'000'000'000;

// Positive, all different.
std::vector<int64_t> read_lengths(const YamlNode& node) {
  std::vector<int64_t> lengths;
  for (const YamlNode& item : read_items(node, "lengths", "integers")) {
    int64_t length = 0;
    read_value(item, "lengths", length);
    check_range(item, "lengths", length, 1, kMost);
    if (std::find(lengths.begin(), lengths.end(), length) != lengths.end()) {
      throw_input_error("{}: lengths: {} appears twice", item.place(), length);
    }
    lengths.push_back(length);
  }
  return lengths;
}

TaskSpec read_task(const YamlNode& node, const std::vector<std::string>& known) {
  const YamlMap map(node, "the task",
                    {"task", "lengths", "file", "samples", "seed", "protocol", "max_new_tokens"});
  TaskSpec task;
  task.origin = node.file;
  task.line = node.line;
  task.task = read_choice(map.require("task"), "task", known);
  const YamlNode* lengths = map.find("lengths");
  task.file_as_written = map.optional<std::string>("file", "");
  task.file = map.path("file");
  task.samples = map.integer("samples", 0, 1, kMost);
  task.seed = map.optional("seed", task.seed);
  if (task.seed > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    map.fail("seed", fmt::format("expected at most {}", std::numeric_limits<int64_t>::max()));
  }
  task.protocol = map.choice("protocol", task.protocol, {"official"});
  task.max_new_tokens = map.integer("max_new_tokens", 0, 1, kMost);
  if (lengths != nullptr) task.lengths = read_lengths(*lengths);

  const bool from_file = !task.file.empty();
  if (from_file && lengths != nullptr) {
    map.fail("lengths", "stands beside file, whose samples have their lengths");
  }
  if (!from_file && lengths == nullptr) {
    throw_input_error("{}: {} needs lengths (to generate samples) or file (to read them)",
                      node.place(), task.task);
  }
  if (!from_file && task.samples == 0) {
    throw_input_error("{}: samples is missing in the task; only a file can be taken whole",
                      node.place());
  }
  std::error_code ignored;
  if (from_file && !std::filesystem::is_regular_file(task.file, ignored)) {
    map.fail("file", fmt::format("no such file: {}", task.file.string()));
  }
  return task;
}

// What makes two requests the same work, whatever number of samples they take.
std::string identity(const TaskSpec& task, const TaskRequest& request) {
  return fmt::format(
      "task: {}, {}, seed: {}, protocol: {}{}", yaml_text(task.task),
      request.file.empty() ? fmt::format("lengths: [{}]", request.length)
                           : fmt::format("file: {}", yaml_text(request.file.string())),
      task.seed, task.protocol,
      task.max_new_tokens > 0 ? fmt::format(", max_new_tokens: {}", task.max_new_tokens) : "");
}

std::vector<TaskSpec> read_tasks(const YamlNode& node, const std::vector<std::string>& known) {
  std::vector<TaskSpec> tasks;
  std::map<std::string, std::string> seen;  // identity -> place
  for (const YamlNode& item : read_items(node, "tasks", "tasks")) {
    const TaskSpec& task = tasks.emplace_back(read_task(item, known));
    for (const TaskRequest& request : task.requests()) {
      const std::string same = identity(task, request);
      if (const auto [it, added] = seen.try_emplace(same, item.place()); !added) {
        throw_input_error("{}: tasks: {{{}}} appears twice, first at {}", item.place(), same,
                          it->second);
      }
    }
  }
  return tasks;
}

std::vector<PolicySpec> read_policies(const YamlNode& node) {
  const auto presets = load_presets();
  std::vector<PolicySpec> policies;
  std::map<std::string, std::string> seen;  // label -> place
  for (const YamlNode& item : read_items(node, "policies", "policies")) {
    const PolicySpec& policy = policies.emplace_back(parse_policy(item, presets));
    if (const auto [it, added] = seen.try_emplace(policy.name, item.place()); !added) {
      throw_input_error("{}: policies: \"{}\" appears twice, first at {}; give one another name",
                        item.place(), policy.name, it->second);
    }
  }
  return policies;
}

std::vector<double> read_ratios(const YamlNode& node) {
  std::vector<double> ratios;
  for (const YamlNode& item : read_items(node, "ratios", "numbers")) {
    double ratio = 0;
    read_value(item, "ratios", ratio);
    if (!(ratio >= 0 && ratio < 1)) {
      throw_input_error("{}: ratios: expected a share removed, 0 <= ratio < 1, got {}",
                        item.place(), item.text);
    }
    if (std::find(ratios.begin(), ratios.end(), ratio) != ratios.end()) {
      throw_input_error("{}: ratios: {} appears twice", item.place(), item.text);
    }
    ratios.push_back(ratio == 0 ? 0.0 : ratio);  // no minus zero in texts
  }
  return ratios;
}

std::vector<std::string> read_compress(const YamlNode& node) {
  const std::vector<std::string> choices = {"context", "prompt"};
  if (node.kind == YamlNode::Kind::kScalar) return {read_choice(node, "compress", choices)};
  std::vector<std::string> modes;
  for (const YamlNode& item : read_items(node, "compress", "texts")) {
    const std::string mode = read_choice(item, "compress", choices);
    if (std::find(modes.begin(), modes.end(), mode) != modes.end()) {
      throw_input_error("{}: compress: {} appears twice", item.place(), mode);
    }
    modes.push_back(mode);
  }
  return modes;
}

LatencySpec read_latency(const YamlNode& node) {
  const YamlMap map(node, "latency", {"repeats", "warmup", "lengths", "decode_tokens"});
  LatencySpec latency;
  latency.repeats = map.integer("repeats", latency.repeats, 1, kMost);
  latency.warmup = map.integer("warmup", latency.warmup, 0, kMost);
  latency.decode_tokens = map.integer("decode_tokens", latency.decode_tokens, 1, kMost);
  latency.lengths = read_lengths(map.require("lengths"));
  return latency;
}

}  // namespace

std::vector<TaskRequest> TaskSpec::requests() const {
  if (!file.empty()) return {{task, file, 0, samples, seed}};
  std::vector<TaskRequest> requests;
  for (const int64_t length : lengths) requests.push_back({task, {}, length, samples, seed});
  return requests;
}

SweepConfig parse_sweep(const YamlNode& root, const TaskNames& known_tasks) {
  constexpr int64_t kMaxThreads = 4096;
  const YamlMap map(root, "the sweep",
                    {"name", "model", "device", "compress", "chat_template", "tasks", "policies",
                     "ratios", "latency", "fidelity", "threads", "output", "plugins"});
  SweepConfig config;
  config.origin = root.file;
  config.name = read_label(map.require("name"), "name");
  config.model = parse_model(map.require("model"));
  config.device = map.choice("device", config.device, {"auto", "cpu", "cuda"});
  if (const YamlNode* node = map.find("compress")) config.compress = read_compress(*node);
  config.chat_template = read_chat_template_use(map);
  config.tasks = read_tasks(map.require("tasks"), known_tasks());
  config.policies = read_policies(map.require("policies"));
  config.ratios = read_ratios(map.require("ratios"));
  if (const YamlNode* node = map.find("latency")) config.latency = read_latency(*node);
  config.fidelity = map.optional("fidelity", config.fidelity);
  if (const YamlNode* node = map.find("plugins")) {
    for (const YamlNode& item : read_items(*node, "plugins", "files")) {
      config.plugins.push_back(read_path(item, "plugins"));
    }
  }
  config.threads = map.integer("threads", config.threads, 1, kMaxThreads);
  config.output = map.path("output");
  if (config.output.empty()) config.output = resolve_path("results/" + config.name + ".h5", "");
  return config;
}

SweepConfig load_sweep(const std::filesystem::path& file, const std::vector<std::string>& sets,
                       const TaskNames& known_tasks) {
  return parse_sweep(load_yaml(file, sets), known_tasks);
}

std::string resolved_yaml(const SweepConfig& config) {
  std::string text = fmt::format("name: {}\n", yaml_text(config.name));
  text +=
      fmt::format("model: {}\ndevice: {}\ncompress:\n", model_yaml(config.model), config.device);
  for (const std::string& mode : config.compress) text += fmt::format("  - {}\n", mode);
  text += fmt::format("chat_template: {}\ntasks:\n", chat_template_use_name(config.chat_template));
  for (const TaskSpec& task : config.tasks) {
    const std::string samples = task.samples > 0 ? fmt::format(", samples: {}", task.samples) : "";
    for (const TaskRequest& request : task.requests()) {
      text += fmt::format("  - {{{}{}}}\n", identity(task, request), samples);
    }
  }
  if (!config.plugins.empty()) {
    text += "plugins:\n";
    for (const auto& file : config.plugins)
      text += fmt::format("  - {}\n", yaml_text(file.string()));
  }
  text += "policies:\n";
  for (const PolicySpec& policy : config.policies) {
    text += fmt::format("  - {}\n", policy_yaml(policy));
  }
  text += "ratios:\n";
  for (const double ratio : config.ratios) text += fmt::format("  - {}\n", ratio);
  if (config.latency) {
    text += fmt::format("latency: {{repeats: {}, warmup: {}, decode_tokens: {}, lengths: [{}]}}\n",
                        config.latency->repeats, config.latency->warmup,
                        config.latency->decode_tokens, fmt::join(config.latency->lengths, ", "));
  }
  return text + fmt::format("fidelity: {}\n", config.fidelity);
}

}  // namespace kvbench
