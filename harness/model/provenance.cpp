#include "harness/model/provenance.h"

#include <H5public.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <vector>

#include "harness/base/hash.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"

namespace kvbench {
namespace fs = std::filesystem;

std::string model_hash(const fs::path& model_dir) {
  std::vector<fs::path> files = {model_dir / "config.json"};
  for (const auto& entry : fs::directory_iterator(model_dir)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string parts;
  for (const auto& file : files) parts += file.filename().string() + " " + sha256_file(file) + "\n";
  return sha256_hex(parts);
}

std::string tokenizer_hash(const fs::path& model_dir, const std::string& from_other_files) {
  const auto file = model_dir / "tokenizer.json";
  const std::string hash = fs::exists(file) ? sha256_file(file) : "";
  return from_other_files.empty() ? hash : sha256_hex(hash + "\n" + from_other_files);
}

std::string git_commit() {
  auto commit = output_of({"git", "-C", project_root().string(), "describe", "--always", "--dirty",
                           "--abbrev=40", "--exclude", "*"});
  while (commit && commit->ends_with('\n')) commit->pop_back();
  return commit && !commit->empty() ? *commit : "unknown";
}

std::string library_versions() {
  return fmt::format("torch {}\nhdf5 {}.{}.{}\n", TORCH_VERSION, H5_VERS_MAJOR, H5_VERS_MINOR,
                     H5_VERS_RELEASE);
}

}  // namespace kvbench
