// The word by which files and options name where a model runs.
#pragma once

#include <string>

#include "harness/base/yaml_map.h"

namespace kvbench {

// auto (the first GPU that can be used, else the CPU), cpu, cuda (the first GPU), cuda:N (GPU N,
// from 0 on).
bool is_device_word(const std::string& word);

inline constexpr const char* kDeviceWords = "auto, cpu, cuda or cuda:N";

// The map's `device`, or `value` when there is none. Throws InputError for another word.
std::string read_device_word(const YamlMap& map, const std::string& value);

}  // namespace kvbench
