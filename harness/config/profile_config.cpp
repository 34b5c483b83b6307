#include "harness/config/profile_config.h"

#include <fmt/format.h>

#include <map>

#include "harness/base/error.h"
#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"
#include "harness/config/device_word.h"
#include "harness/config/temperature.h"
#include "harness/config/yaml_files.h"

namespace kvbench {
namespace {

constexpr int64_t kMost = 1'000'000'000;
constexpr int64_t kMostProtected = 1 << 20;

void read_sampling(const YamlNode& node, ProfileConfig& config) {
  if (node.kind == YamlNode::Kind::kScalar) {
    read_choice(node, "sampling", {"greedy"});
    config.temperature = 0;
    return;
  }
  const YamlMap map(node, "sampling", {"temperature", "seed"});
  config.temperature = read_temperature(map, config.temperature);
  if (config.temperature == 0) {
    map.fail("temperature", "expected more than 0; `sampling: greedy` takes the likeliest token");
  }
  config.sampling_seed = map.optional("seed", config.sampling_seed);
}

std::vector<ProfiledScorer> read_scorers(const YamlNode& node) {
  std::vector<ProfiledScorer> scorers;
  std::map<std::string, std::string> seen;  // label -> place
  for (const YamlNode& item : read_items(node, "scorers", "scorers")) {
    const YamlMap map(item, "the scorer", {"name", "scorer", "sink", "window"});
    ProfiledScorer& scorer = scorers.emplace_back();
    scorer.scorer = parse_part(map.require("scorer"), "scorer");
    const YamlNode* name = map.find("name");
    scorer.name = name != nullptr ? read_label(*name, "name") : scorer.scorer.name;
    scorer.sink = map.integer("sink", scorer.sink, 0, kMostProtected);
    scorer.window = map.integer("window", scorer.window, 0, kMostProtected);
    if (scorer.name == "entries") map.fail("name", "\"entries\" is taken in the file");
    if (const auto [it, added] = seen.try_emplace(scorer.name, item.place()); !added) {
      throw_input_error("{}: scorers: \"{}\" appears twice, first at {}; give one another name",
                        item.place(), scorer.name, it->second);
    }
  }
  return scorers;
}

}  // namespace

ContextsSpec read_contexts(const YamlNode& node) {
  const YamlMap map(node, "contexts", {"file", "count", "length", "ask", "questions", "seed"});
  ContextsSpec contexts;
  contexts.file = map.path("file");
  std::error_code ignored;
  if (!contexts.file.empty() && !std::filesystem::is_regular_file(contexts.file, ignored)) {
    map.fail("file", fmt::format("no such file: {}", contexts.file.string()));
  }
  contexts.length = map.integer("length", 0, 1, kMost);
  if (contexts.length == 0) map.fail("length", "is missing: tokens of a context");
  contexts.count = map.integer("count", 0, 1, kMost);
  const bool has_questions = contexts.file.extension() == ".jsonl";
  if (!has_questions && contexts.count == 0) {
    map.fail("count", "is missing; only a .jsonl file can be taken whole");
  }
  for (const char* key : {"ask", "questions"}) {
    if (has_questions && map.find(key) != nullptr) {
      map.fail(key, "stands beside a .jsonl file, which brings its own questions");
    }
  }
  contexts.ask = map.choice("ask", contexts.ask, {"recite", "explain"});
  contexts.questions = map.integer("questions", contexts.questions, 1, 1000);
  contexts.seed = map.optional("seed", contexts.seed);
  return contexts;
}

ProfileConfig parse_profile_config(const YamlNode& root) {
  const YamlMap map(
      root, "the profile",
      {"name", "model", "device", "chat_template", "contexts", "decode_steps", "sampling",
       "oracle_norm", "scope", "min_keep", "losses", "scorers", "plugins", "threads", "output"});
  ProfileConfig config;
  config.origin = root.file;
  config.name = read_label(map.require("name"), "name");
  config.model = parse_model(map.require("model"));
  config.device = read_device_word(map, config.device);
  config.chat_template = read_chat_template_use(map);
  config.contexts = read_contexts(map.require("contexts"));
  config.decode_steps = map.integer("decode_steps", config.decode_steps, 1, kMost);
  if (const YamlNode* node = map.find("sampling")) read_sampling(*node, config);
  config.oracle_norm = map.choice("oracle_norm", config.oracle_norm, {"layer", "none"});
  config.scope = map.choice("scope", config.scope, {"global", "layer"});
  config.min_keep = map.optional("min_keep", config.min_keep);
  if (!(config.min_keep >= 0 && config.min_keep < 1)) {
    map.fail("min_keep",
             fmt::format("expected a share of the context in [0, 1), got {}", config.min_keep));
  }
  config.losses = map.optional("losses", config.losses);
  config.scorers = read_scorers(map.require("scorers"));
  config.plugins = map.paths("plugins");
  config.threads = map.integer("threads", 0, 1, 4096);
  config.output = map.path("output");
  if (config.output.empty()) config.output = "results/" + config.name + ".profile.h5";
  return config;
}

ProfileConfig load_profile_config(const std::filesystem::path& file,
                                  const std::vector<std::string>& sets) {
  return parse_profile_config(load_yaml(file, sets));
}

std::string resolved_yaml(const ProfileConfig& config) {
  std::string text =
      fmt::format("name: {}\nmodel: {}\n", yaml_text(config.name), model_yaml(config.model));
  const ContextsSpec& contexts = config.contexts;
  const std::string file =
      contexts.file.empty() ? "" : fmt::format("file: {}, ", yaml_text(contexts.file.string()));
  const std::string count = contexts.count == 0 ? "" : fmt::format("count: {}, ", contexts.count);
  // A .jsonl file has its own questions and places.
  const std::string drawn = contexts.file.extension() == ".jsonl"
                                ? ""
                                : fmt::format(", ask: {}, questions: {}, seed: {}", contexts.ask,
                                              contexts.questions, contexts.seed);
  text += fmt::format("device: {}\nchat_template: {}\ncontexts: {{{}{}length: {}{}}}\n",
                      config.device, chat_template_use_name(config.chat_template), file, count,
                      contexts.length, drawn);
  text += fmt::format(
      "decode_steps: {}\nsampling: {}\n", config.decode_steps,
      config.temperature == 0
          ? "greedy"
          : fmt::format("{{temperature: {}, seed: {}}}", config.temperature, config.sampling_seed));
  text += fmt::format("oracle_norm: {}\nscope: {}\nmin_keep: {}\nlosses: {}\n", config.oracle_norm,
                      config.scope, config.min_keep, config.losses);
  if (!config.plugins.empty()) text += "plugins:\n";
  for (const auto& plugin : config.plugins) {
    text += fmt::format("  - {}\n", yaml_text(plugin.string()));
  }
  text += "scorers:\n";
  for (const ProfiledScorer& scorer : config.scorers) {
    text +=
        fmt::format("  - {{name: {}, scorer: {}, sink: {}, window: {}}}\n", yaml_text(scorer.name),
                    part_yaml(scorer.scorer), scorer.sink, scorer.window);
  }
  return text;
}

}  // namespace kvbench
