// Text of values in canonical YAML, and the texts that are allowed as labels.
#pragma once

#include <string>
#include <string_view>

#include "harness/base/yaml.h"

namespace kvbench {

// `text` as a YAML scalar, plain where that is safe in flow form, else double-quoted.
std::string yaml_text(std::string_view text);

// A label of a sweep or policy: 1 to 64 bytes, no slash (labels end up in file names and HDF5
// paths). Throws InputError.
std::string read_label(const YamlNode& node, const std::string& key);

}  // namespace kvbench
