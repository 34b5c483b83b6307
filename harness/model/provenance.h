// Where results come from: model files, source tree, libraries.
#pragma once

#include <filesystem>
#include <string>

namespace kvbench {

// SHA-256 over config.json and the weight files.
std::string model_hash(const std::filesystem::path& model_dir);

// SHA-256 of tokenizer.json ("" when there is none), and of what other files add to it when they do
// (Tokenizer::from_other_files).
std::string tokenizer_hash(const std::filesystem::path& model_dir,
                           const std::string& from_other_files);

// The commit of the source tree, "-dirty" when it was edited since; "unknown" outside git.
std::string git_commit();

// "library version", one a line.
std::string library_versions();

}  // namespace kvbench
