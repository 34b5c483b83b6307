#include "tasks/prompt_texts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/base/error.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

std::string read_lines(const YamlMap& map, const std::string& key) {
  const YamlNode* node = map.find(key);
  if (node == nullptr) return "";
  if (node->kind == YamlNode::Kind::kScalar) return node->text;
  std::vector<std::string> lines;
  for (const YamlNode& item : read_items(*node, key, "lines")) {
    if (item.kind != YamlNode::Kind::kScalar) {
      throw_input_error("{}: {}: expected a line of text, got {}", item.place(), key,
                        describe(item));
    }
    lines.push_back(item.text);
  }
  return join(lines, "\n");
}

}  // namespace

std::string read_prompt_text(const YamlMap& map, const std::string& key,
                             const std::vector<std::string>& placeholders) {
  const std::string text = read_lines(map, key);
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', open + 1)) {
    const size_t close = text.find('}', open);
    const std::string name = text.substr(open, close == text.npos ? close : close + 1 - open);
    if (std::find(placeholders.begin(), placeholders.end(), name) != placeholders.end()) continue;
    map.fail(key, fmt::format("expected {}, got \"{}\"", fmt::join(placeholders, " or "), name));
  }
  return text;
}

}  // namespace kvbench
