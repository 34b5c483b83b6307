#include "harness/base/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>

#include "harness/base/error.h"
#include "harness/base/text.h"

namespace kvbench {
namespace {

// yaml-cpp passes wrong bytes through, takes a byte 4 for the end of the file, and would guess
// UTF-16; none of that may reach names in a results file.
void check_text(std::string_view text, const std::string& label, bool with_lines) {
  int line = 1;
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const Utf8Part part = utf8_part(text, i);
    const bool control = c == 0x7F || (c < 0x20 && c != '\t' && c != '\n' && c != '\r');
    if (!part.valid || control) {
      throw_input_error("{}: expected UTF-8 text, got the byte 0x{:02x}",
                        place_of(label, with_lines ? line : 0), c);
    }
    if (c == '\n') ++line;
    i += part.length;
  }
}

// Builds the tree from yaml-cpp's events.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string label, bool with_lines)
      : label_(std::move(label)), with_lines_(with_lines) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      fail(line_of(mark),
           "expected one YAML document; more follows here (a stray bracket or ---?)");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp marks an absent value at the token after it, often a line too far.
    YamlNode node = make(YamlNode::Kind::kNull, mark);
    if (!open_.empty()) {
      const Open& parent = open_.back();
      node.line = parent.has_key ? parent.node.keys.back().line : parent.node.line;
    }
    finish(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) fail(line_of(mark), "an alias stands inside its own anchor");
    count_nodes(it->second, line_of(mark));
    finish(it->second, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = make(YamlNode::Kind::kScalar, mark);
    refuse_tag(tag, node.line);
    if (value.size() > kMaxYamlText) {
      fail(node.line, fmt::format("a text is longer than {} bytes", kMaxYamlText));
    }
    // Escapes and block texts can hold what check_text refused; messages must stay one line.
    if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20; })) {
      fail(node.line, "expected a text on one line, without control characters");
    }
    node.text = value;
    node.quoted = tag == "!";
    finish(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;  // of a map: the next node is the value of keys.back()
  };

  int line_of(const YAML::Mark& mark) const { return with_lines_ ? mark.line + 1 : 0; }

  [[noreturn]] void fail(int line, const std::string& what) const {
    throw_input_error("{}: {}", place_of(label_, line), what);
  }

  void refuse_tag(const std::string& tag, int line) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(line, fmt::format("YAML tags are not supported, got {}", tag.substr(0, 40)));
    }
  }

  YamlNode make(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode node;
    node.kind = kind;
    node.file = label_;
    node.line = line_of(mark);
    count_nodes(node, node.line);
    return node;
  }

  void count_nodes(const YamlNode& node, int line) {
    if (++nodes_ > kMaxYamlNodes) {
      fail(line, fmt::format("more than {} values", kMaxYamlNodes));
    }
    for (const YamlNode& item : node.items) count_nodes(item, line);
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    Open opened{make(kind, mark), anchor};
    refuse_tag(tag, opened.node.line);
    if (open_.size() >= kMaxYamlDepth) {
      fail(opened.node.line, fmt::format("nested deeper than {} levels", kMaxYamlDepth));
    }
    open_.push_back(std::move(opened));
  }

  void close() {
    Open closed = std::move(open_.back());
    open_.pop_back();
    finish(std::move(closed.node), closed.anchor);
  }

  // A complete node goes into the innermost open list or map.
  void finish(YamlNode node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kMap && !parent.has_key) {
      add_key(parent.node, node);
      parent.has_key = true;
    } else {
      parent.node.items.push_back(std::move(node));
      parent.has_key = false;
    }
  }

  void add_key(YamlNode& map, const YamlNode& key) const {
    if (key.kind != YamlNode::Kind::kScalar) {
      fail(key.line, fmt::format("expected a text as key, got {}", describe(key)));
    }
    if (key.text == "<<" && !key.quoted) {
      fail(key.line, "merge keys (<<) are not supported; use include, or an alias for each value");
    }
    for (const YamlNode::Key& present : map.keys) {
      if (present.text != key.text) continue;
      const std::string first =
          present.line > 0 ? fmt::format(", first on line {}", present.line) : "";
      fail(key.line, fmt::format("duplicate key \"{}\"{}", key.text, first));
    }
    map.keys.push_back({key.text, key.file, key.line});
  }

  std::string label_;
  bool with_lines_;
  int documents_ = 0;
  size_t nodes_ = 0;
  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
};

}  // namespace

const YamlNode* YamlNode::find(const std::string& key) const {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

YamlNode* YamlNode::find(const std::string& key) {
  return const_cast<YamlNode*>(std::as_const(*this).find(key));
}

std::string YamlNode::place() const { return place_of(file, line); }

std::filesystem::path YamlNode::folder() const {
  return line > 0 ? std::filesystem::path(file).parent_path() : "";
}

std::string place_of(const std::string& file, int line) {
  return line > 0 ? fmt::format("{}:{}", file, line) : file;
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  return fmt::format("{}\"{}\"", node.quoted ? "the quoted text " : "", node.text);
}

YamlNode parse_yaml(const std::string& text, const std::string& label, bool with_lines) {
  if (text.size() > kMaxYamlBytes) {
    throw_input_error("{}: larger than {} bytes", label, kMaxYamlBytes);
  }
  check_text(text, label, with_lines);
  std::istringstream stream(text);
  TreeBuilder builder(label, with_lines);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    const bool has_line = with_lines && !e.mark.is_null();
    throw_input_error("{}: {}", place_of(label, has_line ? e.mark.line + 1 : 0), e.msg);
  }
  YamlNode root = builder.take();
  root.file = label;  // also when the document is empty
  return root;
}

YamlNode read_yaml(const std::filesystem::path& file, const std::string& asked_at) {
  const std::string prefix = asked_at.empty() ? "" : asked_at + ": ";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) {
    throw_input_error("{}cannot read {}: no such file", prefix, file.string());
  }
  if (std::filesystem::is_directory(file, ignored)) {
    throw_input_error("{}cannot read {}: it is a folder", prefix, file.string());
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMaxYamlBytes + 1, '\0');  // one more than allowed, to see that there is more
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  if (!stream.eof() && text.size() <= kMaxYamlBytes) {
    throw_input_error("{}cannot read {}", prefix, file.string());
  }
  return parse_yaml(text, file.string());
}

std::vector<std::string> yaml_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code ignored;  // no folder, no names
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace kvbench
