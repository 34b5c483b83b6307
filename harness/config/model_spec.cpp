#include "harness/config/model_spec.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"
#include "harness/base/yaml_write.h"
#include "harness/config/hub_cache.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

const std::vector<std::string> kDtypes = {"float32", "bfloat16", "float16"};

fs::path models_folder() { return project_root() / "configs" / "models"; }

bool is_model_name(const std::string& text) {
  const auto names = model_names();
  return std::find(names.begin(), names.end(), text) != names.end();
}

ModelSpec folder_model(const fs::path& path) {
  ModelSpec model;
  model.path = path;
  // A trailing slash leaves no file name.
  model.name = model.path.has_filename() ? model.path.filename().string()
                                         : model.path.parent_path().filename().string();
  return model;
}

// The keys `hub` and `revision`; an empty model without `hub`.
ModelSpec read_hub(const YamlMap& map) {
  const auto hub = map.optional<std::string>("hub", "");
  const auto revision = map.optional<std::string>("revision", "");
  if (hub.empty()) {
    if (!revision.empty()) map.fail("revision", "expected only beside hub");
    return {};
  }
  if (!is_hub_name(hub)) {
    map.fail("hub",
             fmt::format("expected a name ORG/NAME of the Hugging Face Hub, got \"{}\"", hub));
  }
  if (!revision.empty() && !is_hub_revision(revision)) {
    map.fail("revision", fmt::format("expected a commit, a branch or a tag, got \"{}\"", revision));
  }
  return hub_model(hub, revision);
}

}  // namespace

bool ModelSpec::is_here() const {
  std::error_code ignored;
  return fs::exists(path / "config.json", ignored);
}

std::vector<std::string> model_names() { return yaml_names(models_folder()); }

std::vector<std::string> known_hub_names() {
  std::vector<std::string> names;
  for (const auto& name : model_names()) {
    if (ModelSpec model = named_model(name); !model.hub.empty()) names.push_back(model.hub);
  }
  return names;
}

ModelSpec named_model(const std::string& name, const std::string& asked_at) {
  if (!is_model_name(name)) {
    throw InputError((asked_at.empty() ? "" : asked_at + ": ") +
                     unknown_name("model", name, model_names()));
  }
  const YamlNode root = read_yaml(models_folder() / (name + ".yaml"));
  const YamlMap map(root, "the model", {"dtype", "fetch", "hub", "path", "revision"});
  const auto fetch = map.optional<std::string>("fetch", "");
  const fs::path path = map.path("path");
  if ((fetch.empty() ? 0 : 1) + (path.empty() ? 0 : 1) + (map.find("hub") ? 1 : 0) != 1) {
    map.fail("path", "expected one of hub, fetch and path");
  }
  ModelSpec model = read_hub(map);
  model.name = name;
  model.is_named = true;
  model.dtype = map.choice("dtype", "", kDtypes);
  model.fetch = fetch;
  if (!fetch.empty()) model.path = deps_dir() / "models" / fetch;
  if (!path.empty()) model.path = path;
  return model;
}

ModelSpec hub_model(const std::string& name, const std::string& revision) {
  if (!is_hub_name(name)) {
    throw_input_error("expected a name ORG/NAME of the Hugging Face Hub, got \"{}\"", name);
  }
  if (!revision.empty() && !is_hub_revision(revision)) {
    throw_input_error("revision: expected a commit, a branch or a tag, got \"{}\"", revision);
  }
  ModelSpec model;
  model.name = model.hub = name;
  model.revision = revision;
  const HubSnapshot snapshot = find_snapshot(name, revision);
  model.path = snapshot.folder;
  model.commit = snapshot.commit;
  return model;
}

ModelSpec parse_model(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar) {
    return is_hub_name(node.text) ? hub_model(node.text, "") : named_model(node.text, node.place());
  }
  if (node.kind != YamlNode::Kind::kMap) {
    throw_input_error("{}: model: expected a name or a map, got {}", node.place(), describe(node));
  }
  const YamlMap map(node, "the model", {"name", "path", "hub", "revision", "dtype"});
  const YamlNode* name = map.find("name");
  const fs::path path = map.path("path");
  const auto dtype = map.choice("dtype", "", kDtypes);
  if ((name ? 1 : 0) + (path.empty() ? 0 : 1) + (map.find("hub") ? 1 : 0) != 1) {
    map.fail("path", "expected one of name, hub and path");
  }
  ModelSpec model = read_hub(map);
  if (name != nullptr) model = named_model(map.required<std::string>("name"), name->place());
  if (!path.empty()) model = folder_model(path);
  if (!dtype.empty()) model.dtype = dtype;
  return model;
}

ModelSpec resolve_model(const std::string& text) {
  if (is_model_name(text)) return named_model(text);
  std::error_code ignored;
  const fs::path folder = resolve_path(text, "");
  if (fs::is_directory(folder, ignored)) return folder_model(folder);
  if (is_hub_name(text)) {
    ModelSpec model = hub_model(text, "");
    if (!model.commit.empty()) return model;
    throw_input_error("--model: no folder {}, and as a model of the Hugging Face Hub {}",
                      folder.string(), not_cached_text(model));
  }
  throw_input_error("--model: no folder {}, no name ORG/NAME of the Hugging Face Hub, and {}",
                    folder.string(), unknown_name("model", text, model_names()));
}

std::string model_yaml(const ModelSpec& model) {
  const std::string& revision = model.commit.empty() ? model.revision : model.commit;
  const std::string which =
      !model.hub.empty() ? fmt::format("hub: {}{}", yaml_text(model.hub),
                                       revision.empty() ? "" : ", revision: " + yaml_text(revision))
      : model.is_named ? "name: " + yaml_text(model.name)
                         : "path: " + yaml_text(model.path.string());
  return fmt::format("{{{}{}}}", which, model.dtype.empty() ? "" : ", dtype: " + model.dtype);
}

std::string fetch_command(const ModelSpec& model) {
  return fmt::format("./kvbench model fetch {}{}", model.hub,
                     model.revision.empty() ? "" : " --revision " + model.revision);
}

std::string not_cached_text(const ModelSpec& model) {
  const auto near = near_matches(model.hub, known_hub_names());
  const bool is_misspelt = !near.empty() && near[0] != model.hub;
  return fmt::format("{} is not in the hub cache {}; {} gets it{}",
                     model.revision.empty() ? "it" : "revision " + model.revision,
                     hub_cache().string(), fetch_command(model),
                     is_misspelt ? "; did you mean " + near[0] + "?" : "");
}

}  // namespace kvbench
