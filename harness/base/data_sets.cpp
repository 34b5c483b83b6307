#include "harness/base/data_sets.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"
#include "harness/base/yaml_map.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

fs::path definitions() { return project_root() / "configs" / "data"; }

std::vector<DataFile> read_files(const JsonView& list) {
  std::vector<DataFile> files;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonView file = list[i];
    files.push_back({file.at("name").text(), file.at("bytes").integer(0, int64_t{1} << 53),
                     file.at("sha256").text()});
  }
  return files;
}

}  // namespace

fs::path DataSet::folder() const { return deps_dir() / "data" / name; }

std::string DataSet::fetch_command() const { return "./kvbench data fetch " + name; }

std::vector<std::string> data_set_names() { return yaml_names(definitions()); }

DataSet named_data_set(const std::string& name) {
  const auto known = data_set_names();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    throw InputError(unknown_name("data set", name, known));
  }
  const YamlNode root = read_yaml(definitions() / (name + ".yaml"));
  const YamlMap map(root, "the data set",
                    {"convert", "files", "formerly", "hub", "revision", "version"});
  DataSet set;
  set.name = name;
  set.hub = map.required<std::string>("hub");
  set.formerly = map.optional<std::string>("formerly", "");
  set.revision = map.required<std::string>("revision");
  // A branch may be another thing tomorrow.
  if (set.revision.size() != 40 ||
      set.revision.find_first_not_of("0123456789abcdef") != std::string::npos) {
    map.fail("revision", "expected a commit (40 hexadecimal digits), got " + set.revision);
  }
  set.files = map.required<std::vector<std::string>>("files");
  set.convert = map.required<std::string>("convert");
  set.version = map.required<int64_t>("version");
  return set;
}

DataManifest read_manifest(const DataSet& set) {
  const fs::path file = set.folder() / "manifest.json";
  const nlohmann::json content = read_json(file);
  const JsonView root(content, file.string());
  constexpr int64_t kMost = int64_t{1} << 53;
  if (root.at("revision").text() != set.revision || root.at("convert").text() != set.convert ||
      root.at("version").integer(0, kMost) != set.version) {
    root.fail("made from another revision, or in another way, than configs/data says now");
  }
  DataManifest manifest{read_files(root.at("sources")), read_files(root.at("files"))};
  for (const DataFile& made : manifest.files) {
    std::error_code none;
    const auto bytes = fs::file_size(set.folder() / made.name, none);
    if (none) throw_input_error("{}: there is no such file", (set.folder() / made.name).string());
    if (static_cast<int64_t>(bytes) != made.bytes) {
      throw_input_error("{}: expected {} bytes, got {}", (set.folder() / made.name).string(),
                        made.bytes, bytes);
    }
  }
  return manifest;
}

bool is_made(const DataSet& set) {
  try {
    read_manifest(set);
    return true;
  } catch (const InputError&) {
    return false;
  }
}

fs::path data_folder(const std::string& name) {
  const DataSet set = named_data_set(name);
  try {
    read_manifest(set);
  } catch (const InputError& e) {
    throw_input_error("data set {}: {}; {} gets it", name, e.what(), set.fetch_command());
  }
  return set.folder();
}

}  // namespace kvbench
