// Where golden tests find what they compare with, and the model they run.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench::golden {

inline std::filesystem::path from_environment(const char* variable,
                                              const std::filesystem::path& otherwise) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? std::filesystem::path(value) : otherwise;
}

// Root of the reference data: KVBENCH_REFERENCE, else the subset in the source tree. Files that a
// subset leaves out are not tested.
inline std::filesystem::path reference_root() {
  return from_environment("KVBENCH_REFERENCE",
                          std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/golden/reference");
}

// SmolLM2-135M-Instruct as set-up makes it: KVBENCH_TEST_MODEL, else in .deps. It may be absent.
inline std::filesystem::path model_dir() {
  return from_environment("KVBENCH_TEST_MODEL", std::filesystem::path(KVBENCH_TEST_ROOT) /
                                                    ".deps/models/smollm2-135m-instruct");
}

// Files with this extension (".jsonl") in a folder and below it, sorted; none when it is absent.
inline std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder,
                                                      std::string_view extension) {
  std::vector<std::filesystem::path> files;
  if (!std::filesystem::is_directory(folder)) return files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == extension) {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace kvbench::golden
