#include "harness/config/hub_cache.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <regex>
#include <set>
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

// Of "x-00001-of-00003.parquet" all three; of any other name itself.
std::vector<std::string> parts_of(const std::string& name) {
  static const std::regex part("(.*-)[0-9]{5}(-of-([0-9]{5}).*)");
  std::smatch match;
  if (!std::regex_match(name, match, part)) return {name};
  std::vector<std::string> names;
  for (int i = 0; i < std::stoi(match[3]); ++i) {
    names.push_back(fmt::format("{}{:05}{}", match[1].str(), i, match[2].str()));
  }
  return names;
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

fs::path hub_folder(const std::string& name, HubKind kind) {
  std::string folder = (kind == HubKind::kModel ? "models--" : "datasets--") + name;
  return hub_cache() / folder.replace(folder.find('/'), 1, "--");
}

HubSnapshot find_snapshot(const std::string& name, const std::string& revision, HubKind kind) {
  const fs::path folder = hub_folder(name, kind);
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

std::vector<std::string> cached_files(const fs::path& snapshot,
                                      const std::vector<std::string>& patterns) {
  std::set<std::string> names;
  std::error_code none;  // no folder, no files
  for (const auto& entry : fs::recursive_directory_iterator(snapshot, none)) {
    if (entry.is_regular_file(none))
      names.insert(entry.path().lexically_relative(snapshot).string());
  }
  std::set<std::string> files;
  for (const auto& pattern : patterns) {
    std::set<std::string> matches;
    for (const auto& name : names) {
      if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PATHNAME) != 0) continue;
      for (const auto& part : parts_of(name)) matches.insert(part);
    }
    if (matches.empty() ||
        !std::includes(names.begin(), names.end(), matches.begin(), matches.end()))
      return {};
    files.merge(matches);
  }
  return {files.begin(), files.end()};
}

bool has_unfinished_download(const std::string& name) {
  std::error_code none;  // no folder, no download
  const fs::directory_iterator blobs(hub_folder(name, HubKind::kModel) / "blobs", none);
  return std::any_of(begin(blobs), end(blobs),
                     [](const auto& entry) { return entry.path().extension() == ".incomplete"; });
}

}  // namespace kvbench
