#include "harness/model/hub_fetch.h"

#include <set>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/paths.h"
#include "harness/base/toolchain.h"
#include "harness/config/hub_cache.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_incomplete(const ModelSpec& spec, const std::string& missing) {
  throw_input_error("model {}: its snapshot {} lacks {}{}; {} gets the rest", spec.name,
                    spec.path.string(), missing,
                    has_unfinished_download(spec.hub) ? " (a download was interrupted)" : "",
                    fetch_command(spec));
}

// hub.py for one name of the hub; `copy` is what to do without a network. Returns the snapshot.
fs::path run_hub(const std::string& name, std::vector<std::string> arguments,
                 const std::string& what, const std::string& copy) {
  if (!set_up("hub")) {
    throw_input_error("{}: huggingface_hub cannot be installed ({} says why): without a network {}",
                      what, (deps_dir() / "hub.log").string(), copy);
  }
  arguments.insert(arguments.begin() + 1, {name, "--cache", hub_cache().string(), "--copy", copy});
  return run_script("hub.py", std::move(arguments), what);
}

}  // namespace

void check_cached(const ModelSpec& spec) {
  if (spec.commit.empty()) throw_input_error("model {}: {}", spec.name, not_cached_text(spec));
  if (!spec.is_here()) throw_incomplete(spec, "config.json");
}

void check_cached_weights(const ModelSpec& spec) {
  const fs::path single = spec.path / "model.safetensors";
  const fs::path index = spec.path / "model.safetensors.index.json";
  if (fs::exists(single)) return;
  if (!fs::exists(index)) throw_incomplete(spec, "model.safetensors");
  const nlohmann::json content = read_json(index);
  const JsonView root(content, index.string());
  const JsonView shards = root.at("weight_map");
  if (!shards.value().is_object()) shards.fail_type("an object");
  std::set<std::string> names;
  for (const auto& [tensor, name] : shards.value().items()) names.insert(shards.at(tensor).text());
  for (const auto& name : names) {
    if (!fs::exists(spec.path / name)) throw_incomplete(spec, name);
  }
}

fs::path fetch_from_hub(const ModelSpec& spec) {
  std::vector<std::string> arguments = {"model"};
  if (!spec.revision.empty()) arguments.insert(arguments.end(), {"--revision", spec.revision});
  arguments.push_back("--known");
  for (auto& name : known_hub_names()) arguments.push_back(std::move(name));
  return run_hub(spec.hub, std::move(arguments), "model " + spec.hub,
                 "copy the model's folder here and give its path");
}

CachedData find_cached(const DataSet& set) {
  for (const std::string& name : {set.hub, set.formerly}) {
    if (name.empty()) continue;
    const HubSnapshot snapshot = find_snapshot(name, set.revision, HubKind::kDataSet);
    if (snapshot.commit.empty()) continue;
    if (auto files = cached_files(snapshot.folder, set.files); !files.empty()) {
      return {snapshot.folder, std::move(files)};
    }
  }
  return {};
}

CachedData fetch_from_hub(const DataSet& set) {
  std::vector<std::string> arguments = {"dataset", "--revision", set.revision, "--files"};
  arguments.insert(arguments.end(), set.files.begin(), set.files.end());
  const std::string copy = fmt::format("copy {} here from a machine that has it",
                                       hub_folder(set.hub, HubKind::kDataSet).string());
  const std::string what = "data set " + set.name;
  const fs::path snapshot = run_hub(set.hub, std::move(arguments), what, copy);
  CachedData cached{snapshot, cached_files(snapshot, set.files)};
  KVB_CHECK(!cached.files.empty(), "{}: files are missing that were fetched", snapshot.string());
  return cached;
}

}  // namespace kvbench
