// A strict cursor over one map of a YAML tree.
//
//   YamlMap map(node, "the sweep", {"name", "ratios"});
//   const auto ratios = map.required<std::vector<double>>("ratios");
//
// The constructor refuses every other key: FILE:LINE: unknown key "ratois" in the sweep; did you
// mean ratios? It comes first because a misspelt key is the likely cause of a missing one. Every
// failure is an InputError `FILE:LINE: KEY: expected ..., got ...`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/params.h"
#include "harness/base/yaml.h"

namespace kvbench {

// Each throws unless the node is of the type; `label` is the key that messages name. Numbers and
// true/false must not be quoted. Numbers are decimal and finite; there is no yes, on, 0x10 or
// 1_000.
void read_value(const YamlNode& node, const std::string& label, int64_t& value);
void read_value(const YamlNode& node, const std::string& label, uint64_t& value);
void read_value(const YamlNode& node, const std::string& label, double& value);
void read_value(const YamlNode& node, const std::string& label, bool& value);
void read_value(const YamlNode& node, const std::string& label, std::string& value);  // not empty

// A text that names a file or folder, resolved where it stands (paths.h); it need not exist.
std::filesystem::path read_path(const YamlNode& node, const std::string& label);

// The items of a list that is not empty; `of` says what they should be ("numbers").
const std::vector<YamlNode>& read_items(const YamlNode& node, const std::string& label,
                                        const std::string& of);

inline const char* plural_of(int64_t) { return "integers"; }
inline const char* plural_of(double) { return "numbers"; }
inline const char* plural_of(const std::string&) { return "texts"; }

template <class T>
void read_value(const YamlNode& node, const std::string& label, std::vector<T>& values) {
  values.clear();
  for (const YamlNode& item : read_items(node, label, plural_of(T{}))) {
    read_value(item, label, values.emplace_back());
  }
}

// Throws unless `node` is a map; `what` names it.
void require_map(const YamlNode& node, const std::string& what);

// The values of a map that are parameters, but for the key `skip`; each knows where it stands, as
// --set may have replaced one. Throws for a value that is a list or a map.
std::vector<Params::Given> read_params(const YamlNode& map, const std::string& skip = "");

// Throws `PLACE: LABEL: expected at least LOW, got VALUE` (or at most HIGH).
void check_range(const YamlNode& node, const std::string& label, int64_t value, int64_t low,
                 int64_t high);

class YamlMap {
 public:
  // `what` names the map in messages ("the sweep"), `keys` are all it may hold. `node` must outlive
  // the cursor.
  YamlMap(const YamlNode& node, std::string what, std::vector<std::string> keys);

  const YamlNode* find(const std::string& key) const;  // nullptr when absent
  const YamlNode& require(const std::string& key) const;

  template <class T>
  T required(const std::string& key) const {
    T value{};
    read_value(require(key), key, value);
    return value;
  }

  template <class T>
  T optional(const std::string& key, T value) const {
    if (const YamlNode* node = find(key); node != nullptr) read_value(*node, key, value);
    return value;
  }

  // An integer of [low, high]; the default is not checked.
  int64_t integer(const std::string& key, int64_t value, int64_t low, int64_t high) const;
  // As read_path(); empty when the key is absent.
  std::filesystem::path path(const std::string& key) const;
  // A list of such, none when the key is absent.
  std::vector<std::filesystem::path> paths(const std::string& key) const;
  // One of `choices`.
  std::string choice(const std::string& key, const std::string& value,
                     const std::vector<std::string>& choices) const;

  // Throws `PLACE OF THE VALUE: KEY: WHAT`; the place of the map when the key is absent.
  [[noreturn]] void fail(const std::string& key, const std::string& what) const;

 private:
  const YamlNode& node_;
  std::string what_;
  std::vector<std::string> keys_;
};

// `node`'s text if it is one of `choices`; else throws with near matches.
std::string read_choice(const YamlNode& node, const std::string& label,
                        const std::vector<std::string>& choices);

}  // namespace kvbench
