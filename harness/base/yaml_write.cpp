#include "harness/base/yaml_write.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/yaml_map.h"

namespace kvbench {
namespace {

constexpr size_t kMaxLabel = 64;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '.' || c == '/' || c == '+' || c == '-';
}

bool is_plain(std::string_view text) {
  if (text.empty() || text == "null" || text == "Null" || text == "NULL") return false;
  if (!std::all_of(text.begin(), text.end(), is_word)) return false;
  // A minus opens a list item or a document unless a digit follows.
  return text[0] != '-' || (text.size() > 1 && text[1] >= '0' && text[1] <= '9');
}

}  // namespace

std::string yaml_text(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += fmt::format("\\x{:02x}", c);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string read_label(const YamlNode& node, const std::string& key) {
  std::string label;
  read_value(node, key, label);
  if (label.size() > kMaxLabel || label.find('/') != std::string::npos) {
    throw_input_error("{}: {}: expected at most {} bytes without a slash, got \"{}\"", node.place(),
                      key, kMaxLabel, label);
  }
  return label;
}

}  // namespace kvbench
