// Policies and presets read from YAML.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/yaml.h"
#include "policies/policy_spec.h"

namespace kvbench {

struct Preset {
  PolicySpec policy;
  std::string doc, source;  // one line each
};

// Those of configs/presets.yaml, or of another file of that form, in the order written.
std::vector<Preset> load_presets();
std::vector<Preset> load_presets(const std::filesystem::path& file);
std::vector<std::string> preset_names();  // sorted

// A policy is one of
//   PRESET
//   {preset: PRESET, name: LABEL, PHASES}
//   {name: LABEL, scorer: PART, allocator: PART, weighting: PART, protect: {sink: 4, recent: 32},
//    PHASES}
//   {name: LABEL, full: true}
// with PART = NAME or {name: NAME, PARAMETER: VALUE, ...} and
// PHASES = prefill: {chunk: 128}, decode: {when: overflow, interval: 1, budget: 0, scorer: PART}.
// name, weighting, protect and the phases are optional; without a name it is the preset's, "full",
// or "SCORER+ALLOCATOR". Throws InputError.
PolicySpec parse_policy(const YamlNode& node, const std::vector<Preset>& presets);

// PART of the above; `kind` ("scorer") names it in messages.
PartSpec parse_part(const YamlNode& node, const std::string& kind);

// What --policy takes: any of the above in YAML flow form.
PolicySpec parse_policy_text(const std::string& text);

// One canonical line in flow form, parameters sorted, files as written; parse_policy and parse_part
// read it back.
std::string policy_yaml(const PolicySpec& policy);
std::string part_yaml(const PartSpec& part);

}  // namespace kvbench
