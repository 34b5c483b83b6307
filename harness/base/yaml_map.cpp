#include "harness/base/yaml_map.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/paths.h"

namespace kvbench {
namespace {

[[noreturn]] void fail_type(const YamlNode& node, const std::string& label,
                            const std::string& expected) {
  throw_input_error("{}: {}: expected {}, got {}", node.place(), label, expected, describe(node));
}

template <class T>
void read_number(const YamlNode& node, const std::string& label, T& value, const char* expected) {
  const std::string& text = node.text;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = status == std::errc() && end == text.data() + text.size();
  if (node.kind != YamlNode::Kind::kScalar || node.quoted || !whole) {
    fail_type(node, label, expected);
  }
}

}  // namespace

void read_value(const YamlNode& node, const std::string& label, int64_t& value) {
  read_number(node, label, value, "an integer");
}

void read_value(const YamlNode& node, const std::string& label, uint64_t& value) {
  read_number(node, label, value, "an integer of at least 0");
}

void read_value(const YamlNode& node, const std::string& label, double& value) {
  read_number(node, label, value, "a number");
  if (!std::isfinite(value)) fail_type(node, label, "a number");
}

void read_value(const YamlNode& node, const std::string& label, bool& value) {
  const bool plain = node.kind == YamlNode::Kind::kScalar && !node.quoted;
  if (!plain || (node.text != "true" && node.text != "false")) {
    fail_type(node, label, "true or false");
  }
  value = node.text == "true";
}

void read_value(const YamlNode& node, const std::string& label, std::string& value) {
  if (node.kind != YamlNode::Kind::kScalar || node.text.empty()) fail_type(node, label, "a text");
  value = node.text;
}

std::filesystem::path read_path(const YamlNode& node, const std::string& label) {
  std::string written;
  read_value(node, label, written);
  return resolve_path(written, node.folder());
}

const std::vector<YamlNode>& read_items(const YamlNode& node, const std::string& label,
                                        const std::string& of) {
  if (node.kind != YamlNode::Kind::kList) fail_type(node, label, "a list of " + of);
  if (node.items.empty()) {
    throw_input_error("{}: {}: expected a list of {}, got an empty list", node.place(), label, of);
  }
  return node.items;
}

std::vector<Params::Given> read_params(const YamlNode& map, const std::string& skip) {
  std::vector<Params::Given> params;
  for (size_t i = 0; i < map.keys.size(); ++i) {
    const std::string& key = map.keys[i].text;
    const YamlNode& value = map.items[i];
    if (key == skip) continue;
    if (value.kind != YamlNode::Kind::kScalar) {
      throw_input_error("{}: {}: expected one value, got {}", value.place(), key, describe(value));
    }
    params.push_back({key, value.text, value.line, value.file});
  }
  return params;
}

void check_range(const YamlNode& node, const std::string& label, int64_t value, int64_t low,
                 int64_t high) {
  if (value >= low && value <= high) return;
  throw_input_error("{}: {}: expected at {} {}, got {}", node.place(), label,
                    value < low ? "least" : "most", value < low ? low : high, value);
}

std::string read_choice(const YamlNode& node, const std::string& label,
                        const std::vector<std::string>& choices) {
  std::string text;
  read_value(node, label, text);
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    throw_input_error("{}: {}", node.place(), unknown_name(label, text, choices));
  }
  return text;
}

void require_map(const YamlNode& node, const std::string& what) {
  if (node.kind != YamlNode::Kind::kMap) fail_type(node, what, "a map");
}

YamlMap::YamlMap(const YamlNode& node, std::string what, std::vector<std::string> keys)
    : node_(node), what_(std::move(what)), keys_(std::move(keys)) {
  require_map(node, what_);
  std::sort(keys_.begin(), keys_.end());
  for (const YamlNode::Key& key : node_.keys) {
    if (std::binary_search(keys_.begin(), keys_.end(), key.text)) continue;
    const auto close = near_matches(key.text, keys_);
    const std::string hint =
        close.empty() ? "" : fmt::format("; did you mean {}?", fmt::join(close, " or "));
    throw_input_error("{}: unknown key \"{}\" in {}{} (known: {})", place_of(key.file, key.line),
                      key.text, what_, hint, fmt::join(keys_, ", "));
  }
}

const YamlNode* YamlMap::find(const std::string& key) const {
  KVB_CHECK(std::binary_search(keys_.begin(), keys_.end(), key), "{} reads {}", what_, key);
  return node_.find(key);
}

const YamlNode& YamlMap::require(const std::string& key) const {
  const YamlNode* node = find(key);
  if (node == nullptr) throw_input_error("{}: {} is missing in {}", node_.place(), key, what_);
  return *node;
}

int64_t YamlMap::integer(const std::string& key, int64_t value, int64_t low, int64_t high) const {
  if (const YamlNode* node = find(key); node != nullptr) {
    read_value(*node, key, value);
    check_range(*node, key, value, low, high);
  }
  return value;
}

std::filesystem::path YamlMap::path(const std::string& key) const {
  const YamlNode* node = find(key);
  return node == nullptr ? std::filesystem::path() : read_path(*node, key);
}

std::vector<std::filesystem::path> YamlMap::paths(const std::string& key) const {
  std::vector<std::filesystem::path> files;
  const YamlNode* node = find(key);
  if (node == nullptr) return files;
  for (const YamlNode& item : read_items(*node, key, "files")) {
    files.push_back(read_path(item, key));
  }
  return files;
}

std::string YamlMap::choice(const std::string& key, const std::string& value,
                            const std::vector<std::string>& choices) const {
  const YamlNode* node = find(key);
  return node == nullptr ? value : read_choice(*node, key, choices);
}

void YamlMap::fail(const std::string& key, const std::string& what) const {
  const YamlNode* node = node_.find(key);
  throw_input_error("{}: {}: {}", (node != nullptr ? *node : node_).place(), key, what);
}

}  // namespace kvbench
