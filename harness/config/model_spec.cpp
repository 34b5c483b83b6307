#include "harness/config/model_spec.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"

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

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  std::error_code ignored;  // no folder, no names
  for (const auto& entry : fs::directory_iterator(models_folder(), ignored)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

ModelSpec named_model(const std::string& name, const std::string& asked_at) {
  if (!is_model_name(name)) {
    throw InputError((asked_at.empty() ? "" : asked_at + ": ") +
                     unknown_name("model", name, model_names()));
  }
  const YamlNode root = read_yaml(models_folder() / (name + ".yaml"));
  const YamlMap map(root, "the model", {"dtype", "fetch", "path"});
  ModelSpec model;
  model.name = name;
  model.is_named = true;
  model.dtype = map.choice("dtype", "", kDtypes);
  model.fetch = map.optional<std::string>("fetch", "");
  const fs::path path = map.path("path");
  if (model.fetch.empty() == path.empty()) map.fail("path", "expected either path or fetch");
  model.path = path.empty() ? deps_dir() / "models" / model.fetch : path;
  return model;
}

ModelSpec parse_model(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kScalar) return named_model(node.text, node.place());
  if (node.kind != YamlNode::Kind::kMap) {
    throw_input_error("{}: model: expected a name or a map, got {}", node.place(), describe(node));
  }
  const YamlMap map(node, "the model", {"name", "path", "dtype"});
  const auto name = map.optional<std::string>("name", "");
  const fs::path path = map.path("path");
  const auto dtype = map.choice("dtype", "", kDtypes);
  if (name.empty() == path.empty()) map.fail("path", "expected either path or name");
  ModelSpec model =
      path.empty() ? named_model(name, node.find("name")->place()) : folder_model(path);
  if (!dtype.empty()) model.dtype = dtype;
  return model;
}

ModelSpec resolve_model(const std::string& text) {
  if (is_model_name(text)) return named_model(text);
  std::error_code ignored;
  const fs::path folder = resolve_path(text, "");
  if (fs::is_directory(folder, ignored)) return folder_model(folder);
  throw_input_error("--model: no folder {}, and {}", folder.string(),
                    unknown_name("model", text, model_names()));
}

}  // namespace kvbench
