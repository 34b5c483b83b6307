#include "harness/config/gate_config.h"

#include <fmt/format.h>

#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"
#include "harness/config/device_word.h"
#include "harness/config/temperature.h"
#include "harness/config/yaml_files.h"

namespace kvbench {
namespace {

constexpr int64_t kMost = 1'000'000'000;

void read_gate(const YamlNode& node, GateConfig& config) {
  const YamlMap map(node, "gate", {"width", "sinks"});
  config.width = map.integer("width", config.width, 1, 1024);
  config.sinks = map.integer("sinks", config.sinks, 1, 1024);
}

AttentionGateSpec read_attention(const YamlNode& node) {
  const YamlMap map(node, "attention", {"width", "keep", "weight"});
  AttentionGateSpec spec;
  spec.width = map.integer("width", spec.width, 1, 1024);
  spec.keep = map.optional("keep", spec.keep);
  if (!(spec.keep >= 0 && spec.keep < 1)) {
    map.fail("keep", fmt::format("expected 0 or more and less than 1, got {}", spec.keep));
  }
  spec.weight = map.optional("weight", spec.weight);
  if (!(spec.weight >= 0 && spec.weight <= 1000)) {
    map.fail("weight", fmt::format("expected 0 to 1000, got {}", spec.weight));
  }
  return spec;
}

void read_training(const YamlNode& node, GateConfig& config) {
  const YamlMap map(node, "training", {"steps", "tokens", "rate"});
  if (config.attention && map.find("tokens") != nullptr) {
    map.fail("tokens", "stands beside attention, which reads a whole context a step");
  }
  config.steps = map.integer("steps", config.steps, 1, kMost);
  config.tokens = map.integer("tokens", config.tokens, 1, kMost);
  config.rate = map.optional("rate", config.rate);
  if (!(config.rate > 0 && config.rate <= 100)) {
    map.fail("rate", fmt::format("expected more than 0 and at most 100, got {}", config.rate));
  }
}

}  // namespace

GateConfig parse_gate_config(const YamlNode& root) {
  const YamlMap map(root, "the training of gates",
                    {"name", "model", "device", "chat_template", "contexts", "held_out",
                     "attention", "target", "scale", "decode_steps", "temperature", "gate",
                     "training", "seed", "plugins", "threads", "output"});
  GateConfig config;
  config.origin = root.file;
  config.name = read_label(map.require("name"), "name");
  config.model = parse_model(map.require("model"));
  config.device = read_device_word(map, config.device);
  config.chat_template = read_chat_template_use(map);
  config.contexts = read_contexts(map.require("contexts"));
  config.held_out = map.integer("held_out", config.held_out, 1, kMost);
  if (config.contexts.count > 0 && config.held_out >= config.contexts.count) {
    map.fail("held_out", fmt::format("expected fewer than the {} contexts, got {}",
                                     config.contexts.count, config.held_out));
  }
  if (const YamlNode* node = map.find("attention")) {
    for (const char* key : {"target", "scale", "gate"}) {
      if (map.find(key) != nullptr) map.fail(key, "stands beside attention, which has none");
    }
    config.attention = read_attention(*node);
  } else {
    config.target = parse_part(map.require("target"), "scorer");
  }
  config.ranked = map.choice("scale", "rank", {"rank", "value"}) == "rank";
  config.decode_steps = map.integer("decode_steps", config.decode_steps, 1, kMost);
  config.temperature = read_temperature(map, config.temperature);
  if (const YamlNode* node = map.find("gate")) read_gate(*node, config);
  if (const YamlNode* node = map.find("training")) read_training(*node, config);
  config.seed = map.optional("seed", config.seed);
  config.plugins = map.paths("plugins");
  config.threads = map.integer("threads", 0, 1, 4096);
  config.output = map.path("output");
  if (config.output.empty()) config.output = "results/" + config.name + ".safetensors";
  return config;
}

GateConfig load_gate_config(const std::filesystem::path& file,
                            const std::vector<std::string>& sets) {
  return parse_gate_config(load_yaml(file, sets));
}

}  // namespace kvbench
