#include "harness/config/yaml_files.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "harness/base/error.h"
#include "harness/base/text.h"
#include "harness/base/yaml_map.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// Files of one configuration, repeats counted: bounds the work of includes that fan out.
constexpr size_t kMaxFiles = 64;

class Loader {
 public:
  YamlNode load(const fs::path& file, const std::string& asked_at) {
    const std::string cycle_prefix = asked_at.empty() ? "" : asked_at + ": ";
    if (++files_ > kMaxFiles) {
      throw_input_error("{}more than {} included files", cycle_prefix, kMaxFiles);
    }
    std::error_code unreadable;  // such a file fails below, with a clear message
    const fs::path identity = fs::weakly_canonical(file, unreadable);
    const bool cycle =
        std::find(identities_.begin(), identities_.end(), identity) != identities_.end();
    chain_.push_back(file.string());
    if (cycle) {
      throw_input_error("{}files include each other: {}", cycle_prefix, fmt::join(chain_, " -> "));
    }
    identities_.push_back(identity);
    YamlNode merged = merge(read_yaml(file, asked_at));
    identities_.pop_back();
    chain_.pop_back();
    return merged;
  }

 private:
  YamlNode merge(YamlNode local) {
    if (local.kind != YamlNode::Kind::kMap) {
      throw_input_error("{}: expected a map of settings, got {}", local.place(), describe(local));
    }
    const YamlNode* include = local.find("include");
    if (include == nullptr) return local;
    std::vector<YamlNode> names;
    if (include->kind == YamlNode::Kind::kList) {
      names = include->items;
    } else {
      names.push_back(*include);
    }
    const auto index = static_cast<std::ptrdiff_t>(include - local.items.data());
    local.items.erase(local.items.begin() + index);
    local.keys.erase(local.keys.begin() + index);

    YamlNode merged;
    merged.kind = YamlNode::Kind::kMap;
    merged.file = local.file;
    merged.line = local.line;
    for (const YamlNode& name : names) {
      overlay(merged, load(read_path(name, "include"), name.place() + ": include"));
    }
    overlay(merged, std::move(local));
    return merged;
  }

  static void overlay(YamlNode& below, YamlNode above) {
    for (size_t i = 0; i < above.keys.size(); ++i) {
      const auto same = [&](const YamlNode::Key& key) { return key.text == above.keys[i].text; };
      const auto it = std::find_if(below.keys.begin(), below.keys.end(), same);
      if (it == below.keys.end()) {
        below.keys.push_back(std::move(above.keys[i]));
        below.items.push_back(std::move(above.items[i]));
      } else {
        below.items[static_cast<size_t>(it - below.keys.begin())] = std::move(above.items[i]);
        *it = std::move(above.keys[i]);
      }
    }
  }

  size_t files_ = 0;
  std::vector<fs::path> identities_;  // of the files being read, outermost first
  std::vector<std::string> chain_;    // the same as they were named
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

bool is_control(unsigned char c) { return c < 0x20; }

// What was typed, as it may stand in a message.
std::string one_line(const std::string& text) {
  constexpr size_t kShown = 100;
  const auto control = std::find_if(text.begin(), text.end(), is_control);
  const size_t shown =
      cut_before(text, std::min(kShown, static_cast<size_t>(control - text.begin())));
  return text.substr(0, shown) + (shown < text.size() ? "..." : "");
}

// The item of `node` that `part` names, made when it is a new key of a map. `path` leads to `node`.
YamlNode& step(YamlNode& node, const std::string& part, const std::string& path,
               const std::string& label) {
  if (node.kind == YamlNode::Kind::kList) {
    size_t index = 0;
    const auto [end, status] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index = status == std::errc() && end == part.data() + part.size();
    if (!is_index || index >= node.items.size()) {
      throw_input_error("{}: no item \"{}\" in {}, which has {}, counted from 0", label, part, path,
                        node.items.size());
    }
    return node.items[index];
  }
  if (node.kind != YamlNode::Kind::kMap) {
    throw_input_error("{}: no key \"{}\" in {}, which is {}", label, part, path, describe(node));
  }
  if (YamlNode* present = node.find(part); present != nullptr) return *present;
  node.keys.push_back({part, label, 0});
  YamlNode& added = node.items.emplace_back();
  added.kind = YamlNode::Kind::kMap;  // what a longer path needs; the last step replaces it
  added.file = label;
  return added;
}

}  // namespace

YamlNode load_yaml(const fs::path& file, const std::vector<std::string>& sets) {
  YamlNode root = Loader().load(file, "");
  for (const std::string& set : sets) apply_set(root, set);
  return root;
}

void apply_set(YamlNode& root, const std::string& text) {
  const std::string label = "--set " + one_line(text);
  const size_t equals = text.find('=');
  const std::string path = text.substr(0, equals);
  const auto parts = split(path, '.');
  const bool is_path = std::none_of(parts.begin(), parts.end(), [](const std::string& part) {
    return part.empty() || std::any_of(part.begin(), part.end(), is_control);
  });
  if (equals == std::string::npos || !is_path || parts.size() > kMaxYamlDepth) {
    throw_input_error("{}: expected KEY=VALUE or KEY.KEY=VALUE, as in tasks.0.samples=5", label);
  }
  YamlNode value = parse_yaml(text.substr(equals + 1), label, false);
  YamlNode* node = &root;
  std::string walked;
  for (const std::string& part : parts) {
    node = &step(*node, part, walked, label);
    walked += (walked.empty() ? "" : ".") + part;
  }
  *node = std::move(value);
}

}  // namespace kvbench
