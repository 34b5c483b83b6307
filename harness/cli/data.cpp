// data fetch NAME.
#include <fmt/format.h>

#include <algorithm>

#include "harness/base/data_sets.h"
#include "harness/base/error.h"
#include "harness/base/file_lock.h"
#include "harness/base/files.h"
#include "harness/base/hash_cache.h"
#include "harness/base/paths.h"
#include "harness/base/toolchain.h"
#include "harness/cli/verbs.h"
#include "harness/model/hub_fetch.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

bool has_contents_of(const DataSet& set, const DataManifest& manifest) {
  return std::all_of(manifest.files.begin(), manifest.files.end(), [&](const DataFile& file) {
    const bool same = file_hash(set.folder() / file.name) == file.sha256;
    if (!same) fmt::print(stderr, "kvbench: {} has changed; making it anew\n", file.name);
    return same;
  });
}

// Makes the folder beside its place and puts it there when it is whole. What an interrupted call
// left of either is removed: the lock is held.
void make(const DataSet& set, const CachedData& cached) {
  const bool is_parquet = std::any_of(cached.files.begin(), cached.files.end(),
                                      [](const auto& f) { return f.ends_with(".parquet"); });
  if (is_parquet && !set_up("parquet")) {
    throw_input_error(
        "data set {}: pyarrow, which reads it, cannot be installed ({} says why): without a "
        "network copy {} here from a machine that made it",
        set.name, (deps_dir() / "parquet.log").string(), set.folder().string());
  }
  const fs::path part = set.folder().string() + ".part";
  fs::remove_all(part);
  fs::create_directories(part);
  std::vector<std::string> arguments = {set.convert, cached.snapshot.string()};
  arguments.insert(arguments.end(), cached.files.begin(), cached.files.end());
  arguments.insert(arguments.end(), {"--output", part.string(), "--hub", set.hub, "--revision",
                                     set.revision, "--version", std::to_string(set.version)});
  try {
    run_script("data.py", std::move(arguments), "data set " + set.name);
  } catch (...) {
    fs::remove_all(part);
    throw;
  }
  fs::remove_all(set.folder());
  replace_file(part, set.folder());
}

void fetch(const std::string& name) {
  const DataSet set = named_data_set(name);
  std::error_code error;
  fs::create_directories(set.folder().parent_path(), error);
  if (error) {
    throw_input_error("{}: cannot be created: {}", set.folder().parent_path().string(),
                      error.message());
  }
  const FileLock lock(set.folder(), "");
  if (!is_made(set) || !has_contents_of(set, read_manifest(set))) {
    const CachedData cached = find_cached(set);
    make(set, cached.files.empty() ? fetch_from_hub(set) : cached);
  }
  const DataManifest manifest = read_manifest(set);
  fmt::print("folder  {}\nhub     {} at {}\n", set.folder().string(), set.hub, set.revision);
  for (const DataFile& file : manifest.sources)
    fmt::print("from    {}  {}\n", file.sha256, file.name);
  for (const DataFile& file : manifest.files)
    fmt::print("made    {}  {}\n", file.sha256, file.name);
}

}  // namespace

void add_data(CLI::App& app) {
  auto* verb = app.add_subcommand("data", "fetch a data set");
  verb->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto* fetch_verb = verb->add_subcommand(
      "fetch", "download a data set of the Hugging Face Hub and make the files that tasks read");
  fetch_verb->add_option("name", *name, "a name of configs/data")->required();
  fetch_verb->callback([name] { fetch(*name); });
}

}  // namespace kvbench
