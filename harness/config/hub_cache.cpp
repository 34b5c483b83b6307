#include "harness/config/hub_cache.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "harness/base/files.h"
#include "harness/base/paths.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == text.npos;
}

bool is_name_part(std::string_view part) {
  static const std::string kAllowed = std::string(kLetters) + "-.";
  return !part.empty() && consists_of(part, kAllowed) && kLetters.find(part.front()) != part.npos &&
         kLetters.find(part.back()) != part.npos;
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && consists_of(text, "0123456789abcdef");
}

// Set and not empty.
std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

fs::path model_folder(const std::string& name) {
  std::string folder = "models--" + name;
  return hub_cache() / folder.replace(folder.find('/'), 1, "--");
}

}  // namespace

bool is_hub_name(const std::string& text) {
  constexpr size_t kLongest = 96;
  const size_t slash = text.find('/');
  return slash != text.npos && text.size() <= kLongest &&
         is_name_part(std::string_view(text).substr(0, slash)) &&
         is_name_part(std::string_view(text).substr(slash + 1)) && text.find("--") == text.npos &&
         text.find("..") == text.npos && !text.ends_with(".git");
}

bool is_hub_revision(const std::string& text) {
  static const std::string kAllowed = std::string(kLetters) + "-./";
  constexpr size_t kLongest = 200;
  return !text.empty() && text.size() <= kLongest && consists_of(text, kAllowed) &&
         text.front() != '/' && text.front() != '-' && text.back() != '/' &&
         text.find("..") == text.npos && text.find("//") == text.npos;
}

fs::path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto folder = variable(name)) return resolve_path(*folder, "");
  }
  if (const auto home = variable("HF_HOME")) return resolve_path(*home, "") / "hub";
  return resolve_path(variable("XDG_CACHE_HOME").value_or("~/.cache"), "") / "huggingface" / "hub";
}

HubSnapshot find_snapshot(const std::string& name, const std::string& revision) {
  const fs::path folder = model_folder(name);
  std::string commit = revision;
  std::error_code none;
  if (!is_commit(commit)) {
    const fs::path ref = folder / "refs" / (revision.empty() ? "main" : revision);
    if (!fs::is_regular_file(ref, none)) return {folder, ""};
    commit = read_file(ref);
    while (commit.ends_with('\n')) commit.pop_back();
    if (!is_commit(commit)) return {folder, ""};  // fetching writes it anew
  }
  const fs::path snapshot = folder / "snapshots" / commit;
  if (!fs::is_directory(snapshot, none)) return {folder, ""};
  return {snapshot, commit};
}

bool has_unfinished_download(const std::string& name) {
  std::error_code none;  // no folder, no download
  const fs::directory_iterator blobs(model_folder(name) / "blobs", none);
  return std::any_of(begin(blobs), end(blobs),
                     [](const auto& entry) { return entry.path().extension() == ".incomplete"; });
}

}  // namespace kvbench
