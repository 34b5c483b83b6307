// A policy as it is written: which scorer, which allocator, which parameters, what is protected.
//
// Names of parts and parameters are checked where the parts are made (policies/ needs LibTorch);
// everything here keeps its place, so that those errors point into the file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/params.h"
#include "harness/config/yaml.h"

namespace kvbench {

// A scorer or an allocator.
struct PartSpec {
  std::string name;
  std::vector<Params::Given> params;  // in the order written
  std::string origin;                 // file, or what was typed on the command line
  int line = 0;                       // 0 = not in a file
};

// Eviction while the model decodes.
struct DecodeSpec {
  bool given = false;
  PartSpec scorer;                    // empty = the policy's own
  std::vector<Params::Given> params;  // when, interval, budget
};

struct PolicySpec {
  std::string name;                    // the label in results
  PartSpec scorer, allocator;          // empty when `full`
  PartSpec weighting;                  // optional, empty = none
  std::vector<Params::Given> protect;  // sink, recent
  std::vector<Params::Given> prefill;  // chunk
  DecodeSpec decode;
  bool full = false;  // keeps everything
  // Where it is defined: configs/presets.yaml for a preset, wherever that was asked for.
  std::string origin;
  int line = 0;
};

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

// One canonical line in flow form, parameters sorted; parse_policy and parse_part read it back.
std::string policy_yaml(const PolicySpec& policy);
std::string part_yaml(const PartSpec& part);

}  // namespace kvbench
