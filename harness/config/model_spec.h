// Which model, and in what precision. Loading it is the business of harness/model.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/yaml.h"

namespace kvbench {

// A model is named by a file configs/models/NAME.yaml, or by its name on the Hugging Face Hub
// (ORG/NAME, looked for in the hub's cache, hub_cache.h), or it is a folder of the user's.
struct ModelSpec {
  std::string name;            // NAME, ORG/NAME or the folder's own name; goes into results
  std::filesystem::path path;  // the folder that holds config.json; not checked to exist
  std::string dtype;           // float32, bfloat16 or float16; empty = as the checkpoint is stored
  std::string fetch;           // what set-up can put into `path`; empty = nothing
  std::string hub;             // ORG/NAME; empty = not of the hub
  std::string revision;        // of the hub, as it was asked for; empty = main
  std::string commit;          // of the hub, that of `path`; empty = not in the cache
  bool is_named = false;       // has a file below configs/models

  bool is_here() const;  // `path` holds a config.json
};

// The names below configs/models, sorted.
std::vector<std::string> model_names();

// The names on the hub of those that have one.
std::vector<std::string> known_hub_names();

// Reads configs/models/NAME.yaml, which holds `dtype` (optional) and one of
//   hub: ORG/NAME  with `revision` (optional): a model of the hub
//   fetch: NAME    the folder is deps_dir()/models/NAME, and set-up can make it
//   path: DIR      as every path of a YAML file (base/paths.h)
// Throws InputError with near matches, prefixed with `asked_at` when not empty.
ModelSpec named_model(const std::string& name, const std::string& asked_at = "");

// A model of the hub. Throws InputError when one of the texts has not the form that it must have.
ModelSpec hub_model(const std::string& name, const std::string& revision);

// The `model` of a sweep: a name of configs/models or of the hub, or a map of one of name, hub
// (with `revision`, optional) and path, and a dtype, which is optional and wins over that of the
// named file. A folder is only ever what `path` says.
ModelSpec parse_model(const YamlNode& node);

// What --model takes: a name of configs/models, else a folder that exists, else a name of the hub
// that is in its cache. The message of any other says so.
ModelSpec resolve_model(const std::string& text);

// The map that parse_model() reads the same model from: a model of the hub at its commit when that
// is known. One line, in YAML's flow form.
std::string model_yaml(const ModelSpec& model);

// The command that downloads a model of the hub.
std::string fetch_command(const ModelSpec& model);

// "it is not in the hub cache DIR; COMMAND gets it", with a near match among the names that we
// know.
std::string not_cached_text(const ModelSpec& model);

}  // namespace kvbench
