// Data sets by their names: what configs/data says of each, and the folder of files that `data
// fetch` makes. Nothing here opens a connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

struct DataSet {
  std::string name;                // of configs/data/NAME.yaml
  std::string hub;                 // ORG/NAME of a data set of the Hugging Face Hub
  std::string formerly;            // its name there in older caches; empty = the same
  std::string revision;            // its commit, 40 hexadecimal digits
  std::vector<std::string> files;  // of it, paths in which * stands for any text without '/'
  std::string convert;             // how harness/toolchain/data.py makes ours of them
  int64_t version = 0;             // raised when that makes something else of the same files

  std::filesystem::path folder() const;  // deps_dir()/data/NAME; need not exist
  std::string fetch_command() const;     // "./kvbench data fetch NAME"
};

// The names below configs/data, sorted.
std::vector<std::string> data_set_names();

// Reads configs/data/NAME.yaml. Throws InputError with near matches for an unknown name.
DataSet named_data_set(const std::string& name);

struct DataFile {
  std::string name;  // relative
  int64_t bytes = 0;
  std::string sha256;  // 64 hexadecimal digits
};

// manifest.json of the folder, written last.
struct DataManifest {
  std::vector<DataFile> sources;  // of the hub
  std::vector<DataFile> files;    // in the folder
};

// Throws InputError when the folder was not made as `set` says or a file lacks or has another size;
// contents are not read.
DataManifest read_manifest(const DataSet& set);

// Whether read_manifest() has nothing to say.
bool is_made(const DataSet& set);

// The folder of a complete data set, for tasks: squad/ and hotpotqa/ hold the official JSON files,
// longbench/ NAME.jsonl and NAME_e.jsonl, ruler-N/ TASK/validation.jsonl. Throws InputError that
// ends with the command which fetches it.
std::filesystem::path data_folder(const std::string& name);

}  // namespace kvbench
