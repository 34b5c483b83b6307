#include "harness/model/provenance.h"

#include <H5public.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <vector>

#include "harness/base/hash.h"
#include "harness/base/hash_cache.h"
#include "harness/base/paths.h"
#include "harness/base/process.h"

namespace kvbench {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kMiB = 1 << 20;

// Empty when so little must be read that nobody waits for it.
Advance reading_progress(const std::vector<fs::path>& files, const StartProgress& start_progress) {
  constexpr int64_t kWorthABar = 1024 * kMiB;  // a second or more
  if (!start_progress) return {};
  int64_t n_bytes = 0;
  for (const auto& file : files) {
    std::error_code none;  // reading it will say so
    const auto size = fs::file_size(file, none);
    if (!none && !known_hash(file)) n_bytes += static_cast<int64_t>(size);
  }
  return n_bytes < kWorthABar ? Advance() : start_progress(n_bytes / kMiB, 0);
}

}  // namespace

std::string model_hash(const fs::path& model_dir, const StartProgress& start_progress) {
  std::vector<fs::path> files = {model_dir / "config.json"};
  for (const auto& entry : fs::directory_iterator(model_dir)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  const Advance advance = reading_progress(files, start_progress);
  std::string parts;
  for (const auto& file : files) {
    const std::string name = file.filename().string();
    int64_t rest = 0;  // bytes below a MiB that nobody was told of
    const std::string hash = file_hash(file, [&](int64_t bytes) {
      rest += bytes;
      if (advance && rest >= kMiB) advance(rest / kMiB, "MiB of " + name + " hashed");
      rest %= kMiB;
    });
    parts += name + " " + hash + "\n";
  }
  return sha256_hex(parts);
}

std::string tokenizer_hash(const fs::path& model_dir, const std::string& from_other_files) {
  const auto file = model_dir / "tokenizer.json";
  const std::string hash = fs::exists(file) ? file_hash(file) : "";
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
