// Where results come from: model files, source tree, libraries.
#pragma once

#include <filesystem>
#include <string>

#include "harness/base/progress.h"

namespace kvbench {

// SHA-256 over config.json and the weight files. Files that did not change since an earlier run are
// not read again (base/hash_cache.h). Reading many bytes is told to `start_progress`, in MiB.
std::string model_hash(const std::filesystem::path& model_dir,
                       const StartProgress& start_progress = {});

// SHA-256 of tokenizer.json ("" when there is none), and of what other files add to it when they do
// (Tokenizer::from_other_files).
std::string tokenizer_hash(const std::filesystem::path& model_dir,
                           const std::string& from_other_files);

// The commit of the source tree, "-dirty" when it was edited since; "unknown" outside git.
std::string git_commit();

// "library version", one a line.
std::string library_versions();

}  // namespace kvbench
