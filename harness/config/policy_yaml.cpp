#include "harness/config/policy_yaml.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"

namespace kvbench {
namespace {

const std::vector<std::string> kDefinition = {"full", "scorer", "allocator", "weighting",
                                              "protect"};
const std::vector<std::string> kPhases = {"prefill", "decode"};

// What stands beside a definition or a preset.
void read_phases(const YamlMap& map, PolicySpec& policy) {
  for (const auto& key : kPhases) {
    if (policy.full && map.find(key) != nullptr) {
      map.fail(key, "stands beside full, which keeps everything");
    }
  }
  if (const YamlNode* prefill = map.find("prefill"); prefill != nullptr) {
    require_map(*prefill, "prefill");
    policy.prefill = read_params(*prefill);
  }
  if (const YamlNode* decode = map.find("decode"); decode != nullptr) {
    require_map(*decode, "decode");
    policy.decode = {true, {}, read_params(*decode, "scorer")};
    if (const YamlNode* scorer = decode->find("scorer"); scorer != nullptr) {
      policy.decode.scorer = parse_part(*scorer, "scorer");
    }
  }
}

// The keys of kDefinition; `map` may hold others.
PolicySpec read_definition(const YamlMap& map, const YamlNode& node) {
  PolicySpec policy;
  policy.origin = node.file;
  policy.line = node.line;
  policy.full = map.optional("full", false);
  if (policy.full) {
    for (const char* key : {"scorer", "allocator", "weighting", "protect"}) {
      if (map.find(key) != nullptr) map.fail(key, "stands beside full, which keeps everything");
    }
    policy.name = "full";
    read_phases(map, policy);
    return policy;
  }
  policy.scorer = parse_part(map.require("scorer"), "scorer");
  policy.allocator = parse_part(map.require("allocator"), "allocator");
  if (const YamlNode* weighting = map.find("weighting"); weighting != nullptr) {
    policy.weighting = parse_part(*weighting, "weighting");
  }
  if (const YamlNode* protect = map.find("protect"); protect != nullptr) {
    require_map(*protect, "protect");
    policy.protect = read_params(*protect);
  }
  policy.name = policy.scorer.name + "+" + policy.allocator.name;
  read_phases(map, policy);
  return policy;
}

std::vector<std::string> with_definition(const char* first, const char* second) {
  std::vector<std::string> keys = kDefinition;
  keys.insert(keys.end(), kPhases.begin(), kPhases.end());
  keys.insert(keys.end(), {first, second});
  return keys;
}

PolicySpec find_preset(const YamlNode& node, const std::vector<Preset>& presets) {
  std::string name;
  read_value(node, "policy", name);
  std::vector<std::string> names;
  for (const Preset& preset : presets) {
    if (preset.policy.name == name) return preset.policy;
    names.push_back(preset.policy.name);
  }
  throw_input_error("{}: {}", node.place(), unknown_name("policy", name, names));
}

std::string params_yaml(std::vector<Params::Given> params) {
  std::sort(params.begin(), params.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  std::vector<std::string> texts;
  for (const auto& given : params) {
    texts.push_back(fmt::format("{}: {}", yaml_text(given.key), yaml_text(given.text)));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string decode_yaml(const DecodeSpec& decode) {
  if (!decode.given) return "";
  std::vector<std::string> texts;
  if (!decode.params.empty()) texts.push_back(params_yaml(decode.params));
  if (!decode.scorer.name.empty()) texts.push_back("scorer: " + part_yaml(decode.scorer));
  return fmt::format(", decode: {{{}}}", fmt::join(texts, ", "));
}

}  // namespace

PartSpec parse_part(const YamlNode& node, const std::string& kind) {
  PartSpec part;
  part.origin = node.file;
  part.line = node.line;
  if (node.kind != YamlNode::Kind::kMap) {
    if (node.kind != YamlNode::Kind::kScalar || node.text.empty()) {
      throw_input_error("{}: {}: expected a name or a map, got {}", node.place(), kind,
                        describe(node));
    }
    part.name = node.text;
    return part;
  }
  const YamlNode* name = node.find("name");
  if (name == nullptr) throw_input_error("{}: name is missing in the {}", node.place(), kind);
  read_value(*name, "name", part.name);
  part.params = read_params(node, "name");
  return part;
}

std::vector<Preset> load_presets() {
  return load_presets(project_root() / "configs" / "presets.yaml");
}

std::vector<Preset> load_presets(const std::filesystem::path& file) {
  const YamlNode root = read_yaml(file);
  require_map(root, "the presets");
  std::vector<Preset> presets;
  for (size_t i = 0; i < root.keys.size(); ++i) {
    const std::string& name = root.keys[i].text;
    const YamlMap map(root.items[i], fmt::format("the preset {}", name),
                      with_definition("doc", "source"));
    Preset preset;
    preset.doc = map.required<std::string>("doc");
    preset.source = map.required<std::string>("source");
    preset.policy = read_definition(map, root.items[i]);
    preset.policy.name = name;
    presets.push_back(std::move(preset));
  }
  return presets;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : load_presets()) names.push_back(preset.policy.name);
  std::sort(names.begin(), names.end());
  return names;
}

PolicySpec parse_policy(const YamlNode& node, const std::vector<Preset>& presets) {
  if (node.kind == YamlNode::Kind::kScalar) return find_preset(node, presets);
  if (node.kind != YamlNode::Kind::kMap) {
    throw_input_error("{}: policy: expected a preset's name or a map, got {}", node.place(),
                      describe(node));
  }
  PolicySpec policy;
  const YamlMap map(node, "the policy", with_definition("name", "preset"));
  const YamlNode* name = map.find("name");
  const YamlNode* preset = map.find("preset");
  if (preset != nullptr) {
    policy = find_preset(*preset, presets);
    for (const std::string& key : kDefinition) {
      if (map.find(key) != nullptr) map.fail(key, "stands beside preset, which decides it");
    }
    read_phases(map, policy);
  } else {
    policy = read_definition(map, node);
  }
  if (name != nullptr) policy.name = read_label(*name, "name");
  return policy;
}

PolicySpec parse_policy_text(const std::string& text) {
  const YamlNode node = parse_yaml(text, "--policy", false);
  return parse_policy(node, load_presets());
}

std::string part_yaml(const PartSpec& part) {
  const std::string params = params_yaml(part.params);
  return fmt::format("{{name: {}{}{}}}", yaml_text(part.name), params.empty() ? "" : ", ", params);
}

std::string policy_yaml(const PolicySpec& policy) {
  const std::string name = yaml_text(policy.name);
  if (policy.full) return fmt::format("{{name: {}, full: true}}", name);
  const std::string protect =
      policy.protect.empty() ? "" : fmt::format(", protect: {{{}}}", params_yaml(policy.protect));
  const std::string weighting =
      policy.weighting.name.empty() ? "" : ", weighting: " + part_yaml(policy.weighting);
  const std::string prefill =
      policy.prefill.empty() ? "" : fmt::format(", prefill: {{{}}}", params_yaml(policy.prefill));
  return fmt::format("{{name: {}, scorer: {}, allocator: {}{}{}{}{}}}", name,
                     part_yaml(policy.scorer), part_yaml(policy.allocator), weighting, protect,
                     prefill, decode_yaml(policy.decode));
}

}  // namespace kvbench
