// YAML read strictly into a plain tree that remembers where everything stands.
//
// yaml-cpp's own nodes accept duplicate keys, drop merge keys and forget the file, and their
// aliases make an include or an override change several places at once. So its events are turned
// into this tree, in which every alias is a copy.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace kvbench {

// Bounds for files of unknown origin; far above any real configuration.
inline constexpr size_t kMaxYamlBytes = 1 << 20;
inline constexpr size_t kMaxYamlNodes = 20000;  // aliases count as often as they are used
inline constexpr size_t kMaxYamlDepth = 64;
inline constexpr size_t kMaxYamlText = 4096;  // bytes of one key or value

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Key {
    std::string text, file;
    int line = 0;
  };

  Kind kind = Kind::kNull;
  std::string text;     // of a scalar: one line, no control characters
  bool quoted = false;  // of a scalar: text even if it reads like a number
  std::string file;     // where this stands: a file, or what was typed ("--set ratios=[0.5]")
  int line = 0;         // 1-based; 0 = not in a file
  std::vector<YamlNode> items;  // of a list or map
  std::vector<Key> keys;        // of a map, one for each item

  const YamlNode* find(const std::string& key) const;
  YamlNode* find(const std::string& key);
  std::string place() const;
  // Where relative paths of this value begin: its file's folder; empty = the working folder.
  std::filesystem::path folder() const;
};

// "FILE:LINE", or only "FILE" when line is 0.
std::string place_of(const std::string& file, int line);

// What a message says was found: `"abc"`, `the quoted text "20"`, `nothing`, `a list`, `a map`.
std::string describe(const YamlNode& node);

// One document. `label` is what messages name; lines are counted only when `with_lines`.
// Throws InputError for YAML syntax errors, duplicate keys, merge keys, tags, keys that are not
// text, bytes that are not UTF-8 text, and whatever exceeds the bounds above.
YamlNode parse_yaml(const std::string& text, const std::string& label, bool with_lines = true);

// As above, from a file. `asked_at`, when not empty, is the place that named the file.
YamlNode read_yaml(const std::filesystem::path& file, const std::string& asked_at = "");

// The names of the YAML files in a folder, without ".yaml", sorted; none where there is no folder.
std::vector<std::string> yaml_names(const std::filesystem::path& folder);

}  // namespace kvbench
