// A configuration put together: includes first, then what the command line overrides.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/yaml.h"

namespace kvbench {

// Reads `file`, merges what its top-level `include: FILE` (or a list) names, then applies `sets`.
//
// An included path is relative to the file that names it. Merging is by top-level key and whole
// value: a key of the including file replaces the included one, and of several included files the
// later wins. Every node still names the file in which it stands. Throws InputError for cycles.
YamlNode load_yaml(const std::filesystem::path& file, const std::vector<std::string>& sets = {});

// Applies one `--set a.b=c`. The path is keys and 0-based list indices joined by dots
// ("tasks.0.samples=5"); the value is YAML. A key that is absent is added, so that whoever reads
// the map tells whether it is a known one; an index must exist. Throws InputError naming --set.
void apply_set(YamlNode& root, const std::string& text);

}  // namespace kvbench
