// Which model, and in what precision. Loading it is the business of harness/model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/yaml.h"

namespace kvbench {

// A model is either named, by a file configs/models/NAME.yaml, or a folder of the user's.
struct ModelSpec {
  std::string name;            // NAME, or the folder's own name; goes into results
  std::filesystem::path path;  // the folder that holds config.json; not checked to exist
  std::string dtype;           // float32, bfloat16 or float16; empty = as the checkpoint is stored
  std::string fetch;           // what `model fetch` can put into `path`; empty = nothing
  bool is_named = false;       // has a file below configs/models
};

// The names below configs/models, sorted.
std::vector<std::string> model_names();

// Reads configs/models/NAME.yaml, which holds `dtype` (optional) and one of
//   fetch: NAME   the folder is deps_dir()/models/NAME, and set-up can make it
//   path: DIR     as every path of a YAML file (base/paths.h)
// Throws InputError with near matches, prefixed with `asked_at` when not empty.
ModelSpec named_model(const std::string& name, const std::string& asked_at = "");

// The `model` of a sweep: a name, {name: NAME, dtype: D} or {path: DIR, dtype: D}. The dtype is
// optional and wins over the one of the named file.
ModelSpec parse_model(const YamlNode& node);

// What --model takes: a name, else a folder that exists. The message of an unknown one says both.
ModelSpec resolve_model(const std::string& text);

}  // namespace kvbench
