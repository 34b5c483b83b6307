#include "harness/model/hub_fetch.h"

#include <cstdlib>
#include <set>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"
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
  const fs::path toolchain = project_root() / "harness/toolchain";
  ::setenv("KVBENCH_DEPS", deps_dir().c_str(), 1);  // where the script puts it
  if (run_for_output({(toolchain / "setup.sh").string(), "hub"}).status != 0) {
    throw_input_error(
        "huggingface_hub cannot be installed ({} says why): without a network copy the model's "
        "folder here and give its path",
        (deps_dir() / "hub.log").string());
  }
  std::vector<std::string> command = {(deps_dir() / "venv/bin/python").string(),
                                      (toolchain / "hub.py").string(), spec.hub, "--cache",
                                      hub_cache().string()};
  if (!spec.revision.empty()) command.insert(command.end(), {"--revision", spec.revision});
  command.push_back("--known");
  for (auto& name : known_hub_names()) command.push_back(std::move(name));
  Finished fetched = run_for_output(command);
  while (fetched.output.ends_with('\n')) fetched.output.pop_back();
  if (fetched.status == 2) throw_input_error("model {}: {}", spec.hub, fetched.output);
  if (fetched.status != 0) {
    throw std::runtime_error(fmt::format("model {}: {} failed", spec.hub, command[1]));
  }
  return fetched.output;
}

}  // namespace kvbench
