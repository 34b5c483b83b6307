#include "harness/config/sweep_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>

#include "harness/base/data_sets.h"
#include "harness/base/error.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"
#include "harness/config/device_word.h"
#include "harness/config/policy_yaml.h"
#include "harness/config/temperature.h"
#include "harness/config/yaml_files.h"

namespace kvbench {
namespace {

// Nothing real comes near; below it, products of two settings cannot overflow.
constexpr int64_t kMost = 1'000'000'000;
constexpr int64_t kMostRollouts = 1'000'000;

// Positive, all different.
// Positive integers, all different.
std::vector<int64_t> read_counts(const YamlNode& node, const std::string& label) {
  std::vector<int64_t> counts;
  for (const YamlNode& item : read_items(node, label, "integers")) {
    int64_t count = 0;
    read_value(item, label, count);
    check_range(item, label, count, 1, kMost);
    if (std::find(counts.begin(), counts.end(), count) != counts.end()) {
      throw_input_error("{}: {}: {} appears twice", item.place(), label, count);
    }
    counts.push_back(count);
  }
  return counts;
}

// Where the task's samples come from: sets `file`, or leaves it empty for generated ones.
void read_source(const YamlMap& map, const std::string& place, TaskSpec& task) {
  const Task& known = find_task(task.task);
  std::vector<std::string> given;
  for (const char* key : {"lengths", "file", "folder", "data"}) {
    if (map.find(key) != nullptr) given.emplace_back(key);
  }
  if (given.size() > 1) {
    map.fail(given[1], fmt::format("stands beside {}: samples have one source", given[0]));
  }
  const std::string source = given.empty() ? "" : given[0];
  if (source == "lengths") {
    task.lengths = read_counts(map.require("lengths"), "lengths");
    if (task.samples == 0) {
      throw_input_error("{}: samples is missing in the task; only a file can be taken whole",
                        place);
    }
    return;
  }
  std::error_code ignored;
  if (source == "file") {
    task.file = map.path("file");
    task.file_as_written = map.required<std::string>("file");
    if (std::filesystem::is_regular_file(task.file, ignored)) return;
    map.fail("file", fmt::format("no such file: {}", task.file.string()));
  }
  std::string data = map.optional<std::string>("data", "");
  if (source.empty()) {
    data = known.data_set();
    if (data.empty()) {
      throw_input_error("{}: {} needs {}file (to read them)", place, task.task,
                        known.can_generate() ? "lengths (to generate samples) or " : "");
    }
  }
  std::filesystem::path folder = map.path("folder");
  try {
    if (!data.empty()) folder = data_folder(data);
  } catch (const InputError& e) {
    throw_input_error("{}: {}: {}", place, task.task, e.what());
  }
  task.file = known.file_in(folder);
  task.file_as_written =
      fmt::format("{}/{}", data.empty() ? map.required<std::string>("folder") : data,
                  std::filesystem::relative(task.file, folder).string());
  if (task.file.empty()) map.fail(source, fmt::format("{} is read from a file", task.task));
  if (std::filesystem::is_regular_file(task.file, ignored)) return;
  throw_input_error("{}: {}: no such file: {}", place, task.task, task.file.string());
}

Sampling read_sampling(const YamlMap& map) {
  Sampling sampling;
  sampling.temperature = read_temperature(map, sampling.temperature);
  sampling.top_p = map.optional("top_p", sampling.top_p);
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    map.fail("top_p", fmt::format("expected a share of probability, 0 < top_p <= 1, got {}",
                                  sampling.top_p));
  }
  if (sampling.temperature == 0 && map.find("top_p") != nullptr) {
    map.fail("top_p", "expected a temperature beside it; without one the answer is greedy");
  }
  return sampling;
}

std::vector<TaskSpec> read_entry(const YamlNode& node) {
  const YamlMap map(
      node, "the task",
      {"task", "lengths", "file", "folder", "data", "samples", "seed", "protocol", "max_length",
       "answer_prefix", "bos", "max_new_tokens", "temperature", "top_p", "rollouts"});
  std::filesystem::path described_in;
  const YamlNode& named = map.require("task");
  std::string name;
  if (named.kind == YamlNode::Kind::kScalar && named.text.ends_with(".yaml")) {
    described_in = map.path("task");
    name = add_task(described_in).name();
  } else {
    std::vector<std::string> known = task_names();
    for (const auto& group : task_group_names()) known.push_back(group);
    name = read_choice(named, "task", known);
  }
  const std::vector<std::string> names = tasks_of(name);
  if (names.front() != name && map.find("file") != nullptr) {
    map.fail("file", fmt::format("{} is {} tasks; a folder holds their files", name, names.size()));
  }
  std::vector<TaskSpec> tasks;
  for (const std::string& one : names) {
    TaskSpec& task = tasks.emplace_back();
    task.origin = node.file;
    task.line = node.line;
    task.task = one;
    task.described_in = described_in;
    task.samples = map.integer("samples", 0, 1, kMost);
    task.seed = map.optional("seed", task.seed);
    if (task.seed > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      map.fail("seed", fmt::format("expected at most {}", std::numeric_limits<int64_t>::max()));
    }
    const auto protocols = find_task(one).protocols();
    task.protocol = map.choice("protocol", protocols.front(), protocols);
    task.max_length = map.integer("max_length", 0, 2, kMost);
    task.answer_prefix = map.choice("answer_prefix", "on", {"on", "off"}) == "on";
    task.second_bos = map.choice("bos", "once", {"once", "twice"}) == "twice";
    task.max_new_tokens = map.integer("max_new_tokens", 0, 1, kMost);
    task.sampling = read_sampling(map);
    task.rollouts = map.integer("rollouts", 1, 1, kMostRollouts);
    read_source(map, node.place(), task);
  }
  return tasks;
}

// What makes two requests the same work, whatever number of samples they take.
std::string identity(const TaskSpec& task, const TaskRequest& request) {
  std::string text =
      fmt::format("task: {}, {}, seed: {}, protocol: {}",
                  yaml_text(task.described_in.empty() ? task.task : task.described_in.string()),
                  request.file.empty() ? fmt::format("lengths: [{}]", request.length)
                                       : fmt::format("file: {}", yaml_text(request.file.string())),
                  task.seed, task.protocol);
  if (task.max_length > 0) text += fmt::format(", max_length: {}", task.max_length);
  if (!task.answer_prefix) text += ", answer_prefix: off";
  if (task.second_bos) text += ", bos: twice";
  if (task.max_new_tokens > 0) text += fmt::format(", max_new_tokens: {}", task.max_new_tokens);
  if (task.sampling.temperature > 0) {
    text +=
        fmt::format(", temperature: {}, top_p: {}", task.sampling.temperature, task.sampling.top_p);
  }
  return text;
}

std::vector<TaskSpec> read_tasks(const YamlNode& node) {
  std::vector<TaskSpec> tasks;
  std::map<std::string, std::string> seen;  // identity -> place
  for (const YamlNode& item : read_items(node, "tasks", "tasks")) {
    for (TaskSpec& task : read_entry(item)) {
      for (const TaskRequest& request : task.requests()) {
        const std::string same = identity(task, request);
        if (const auto [it, added] = seen.try_emplace(same, item.place()); !added) {
          throw_input_error("{}: tasks: {{{}}} appears twice, first at {}", item.place(), same,
                            it->second);
        }
      }
      tasks.push_back(std::move(task));
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
  const YamlMap map(node, "latency", {"repeats", "warmup", "lengths", "decode_tokens", "batch"});
  LatencySpec latency;
  latency.repeats = map.integer("repeats", latency.repeats, 1, kMost);
  latency.warmup = map.integer("warmup", latency.warmup, 0, kMost);
  latency.decode_tokens = map.integer("decode_tokens", latency.decode_tokens, 1, kMost);
  latency.lengths = read_counts(map.require("lengths"), "lengths");
  if (const YamlNode* batch = map.find("batch")) latency.batch = read_counts(*batch, "batch");
  return latency;
}

}  // namespace

std::vector<TaskRequest> TaskSpec::requests() const {
  TaskRequest request{.name = task,
                      .file = file,
                      .samples = samples,
                      .seed = seed,
                      .protocol = protocol,
                      .max_length = max_length,
                      .answer_prefix = answer_prefix,
                      .second_bos = second_bos,
                      .sampling = sampling,
                      .rollouts = rollouts};
  if (!file.empty()) return {request};
  std::vector<TaskRequest> requests;
  for (const int64_t length : lengths) {
    request.length = length;
    requests.push_back(request);
  }
  return requests;
}

namespace {

// "16GiB", "500MiB": at least one byte.
int64_t read_bytes(const YamlNode& node, const std::string& label) {
  std::string text;
  read_value(node, label, text);
  const std::map<std::string, double> units = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const size_t at = text.find_first_not_of("0123456789.");
  const auto unit = units.find(at == std::string::npos ? "" : text.substr(at));
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const double bytes = unit == units.end() ? 0 : number * unit->second;
  if (error != std::errc() || end != text.data() + at || !(bytes >= 1 && bytes < 0x1p60)) {
    throw_input_error("{}: {}: expected a number with its unit, like 16GiB or 500MiB, got \"{}\"",
                      node.place(), label, text);
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace

SweepConfig parse_sweep(const YamlNode& root) {
  constexpr int64_t kMaxThreads = 4096;
  const YamlMap map(
      root, "the sweep",
      {"name", "model", "device", "compress", "chat_template", "tasks", "policies", "ratios",
       "latency", "fidelity", "likelihood", "threads", "memory", "output", "plugins"});
  SweepConfig config;
  config.origin = root.file;
  config.name = read_label(map.require("name"), "name");
  config.model = parse_model(map.require("model"));
  config.device = read_device_word(map, config.device);
  if (const YamlNode* node = map.find("compress")) config.compress = read_compress(*node);
  config.chat_template = read_chat_template_use(map);
  config.tasks = read_tasks(map.require("tasks"));
  config.policies = read_policies(map.require("policies"));
  config.ratios = read_ratios(map.require("ratios"));
  if (const YamlNode* node = map.find("latency")) config.latency = read_latency(*node);
  config.fidelity = map.optional("fidelity", config.fidelity);
  config.likelihood = map.optional("likelihood", config.likelihood);
  config.plugins = map.paths("plugins");
  config.threads = map.integer("threads", config.threads, 1, kMaxThreads);
  if (const YamlNode* node = map.find("memory")) config.memory = read_bytes(*node, "memory");
  config.output = map.path("output");
  if (config.output.empty()) config.output = resolve_path("results/" + config.name + ".h5", "");
  return config;
}

SweepConfig load_sweep(const std::filesystem::path& file, const std::vector<std::string>& sets) {
  return parse_sweep(load_yaml(file, sets));
}

std::string resolved_yaml(const SweepConfig& config) {
  std::string text = fmt::format("name: {}\n", yaml_text(config.name));
  text +=
      fmt::format("model: {}\ndevice: {}\ncompress:\n", model_yaml(config.model), config.device);
  for (const std::string& mode : config.compress) text += fmt::format("  - {}\n", mode);
  text += fmt::format("chat_template: {}\ntasks:\n", chat_template_use_name(config.chat_template));
  for (const TaskSpec& task : config.tasks) {
    std::string samples = task.samples > 0 ? fmt::format(", samples: {}", task.samples) : "";
    if (task.rollouts > 1) samples += fmt::format(", rollouts: {}", task.rollouts);
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
    const LatencySpec& latency = *config.latency;
    text += fmt::format(
        "latency: {{repeats: {}, warmup: {}, decode_tokens: {}, batch: [{}], lengths: [{}]}}\n",
        latency.repeats, latency.warmup, latency.decode_tokens, fmt::join(latency.batch, ", "),
        fmt::join(latency.lengths, ", "));
  }
  return text + fmt::format("fidelity: {}\nlikelihood: {}\n", config.fidelity, config.likelihood);
}

}  // namespace kvbench
