// `chat_template:` of sweeps and profiles: whether prompts stand in the model's chat template.
#pragma once

#include <string>

#include "harness/base/yaml_map.h"

namespace kvbench {

enum class ChatTemplateUse {
  kNo,
  kYes,   // a folder without one is an InputError
  kAuto,  // if the folder has one
};

// The map's `chat_template`, kYes when it is absent. Throws InputError with the place.
ChatTemplateUse read_chat_template_use(const YamlMap& map);

// As in YAML: false, true, auto.
std::string chat_template_use_name(ChatTemplateUse use);

}  // namespace kvbench
