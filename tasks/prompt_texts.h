// The texts of a task's prompt, as its YAML file writes them.
#pragma once

#include <string>
#include <vector>

#include "harness/base/yaml_map.h"

namespace kvbench {

// A text with newlines is a list of its lines, which may be empty; else one line as it stands. ""
// when the key is absent. Throws InputError for a {name} that is not one of `placeholders`: it
// would reach the model as it is.
std::string read_prompt_text(const YamlMap& map, const std::string& key,
                             const std::vector<std::string>& placeholders);

}  // namespace kvbench
