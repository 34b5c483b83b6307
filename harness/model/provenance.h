// Where results come from: model files, source tree, libraries.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// SHA-256 over config.json and the weight files; of tokenizer.json ("" when there is none).
std::string model_hash(const std::filesystem::path& model_dir);
std::string tokenizer_hash(const std::filesystem::path& model_dir);

// The commit of the source tree, "-dirty" when it was edited since; "unknown" outside git.
std::string git_commit();

// "library version", one a line.
std::string library_versions();

}  // namespace kvbench
