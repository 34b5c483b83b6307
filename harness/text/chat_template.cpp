#include "harness/text/chat_template.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/base/text.h"
#include "harness/text/declared_tokens.h"
#include "harness/text/rendered_template.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string name;  // default, or what the folder calls it
  std::string file;  // within the folder
  std::string text;
};

std::string read_template(const fs::path& file) {
  std::string text = read_file(file);
  if (!is_valid_utf8(text)) throw_input_error("{}: expected UTF-8", file.string());
  return text;
}

// As transformers takes them: a later one of the same name replaces an earlier one.
std::vector<Source> jinja_files(const fs::path& model_dir) {
  std::vector<Source> all;
  if (const auto file = model_dir / "chat_template.jinja"; fs::exists(file)) {
    all.push_back({"default", file.filename().string(), read_template(file)});
  }
  const auto folder = model_dir / "additional_chat_templates";
  if (!fs::is_directory(folder)) return all;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    all.push_back({entry.path().stem().string(),
                   (folder.filename() / entry.path().filename()).string(),
                   read_template(entry.path())});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.file < b.file; });
  return all;
}

// The key `chat_template` of a JSON file: a text, a list of {name, template}, or an object of
// name: template.
std::vector<Source> json_templates(const fs::path& file) {
  if (!fs::exists(file)) return {};
  const nlohmann::json document = read_json(file);
  const auto found = JsonView(document, file.string()).find("chat_template");
  if (!found) return {};
  const std::string name = file.filename().string();
  if (found->value().is_string()) return {{"default", name, found->text()}};
  std::vector<Source> all;
  if (found->value().is_object()) {
    for (const auto& [key, value] : found->value().items()) {
      all.push_back({key, name, found->at(key).text()});
    }
  } else {
    for (size_t i = 0; i < found->size(); ++i) {
      all.push_back({(*found)[i].at("name").text(), name, (*found)[i].at("template").text()});
    }
  }
  if (all.empty()) found->fail("expected a chat template with the name default, got none");
  return all;
}

std::optional<Source> find_template(const fs::path& model_dir) {
  std::vector<Source> all = jinja_files(model_dir);
  if (all.empty()) all = json_templates(model_dir / "tokenizer_config.json");
  if (all.empty()) all = json_templates(model_dir / "chat_template.json");
  if (all.empty()) return std::nullopt;
  const auto it = std::find_if(all.rbegin(), all.rend(),
                               [](const Source& source) { return source.name == "default"; });
  if (it != all.rend()) return *it;
  std::string names;
  for (const Source& source : all) names += (names.empty() ? "" : ", ") + source.name;
  throw_input_error("{}: expected a chat template with the name default, got {}",
                    (model_dir / all[0].file).string(), names);
}

// What the tokenizer's post-processor puts before a text.
std::string post_processor_prefix(const JsonView& part, int depth) {
  const std::string& type = part.at("type").text();
  std::string prefix;
  if (type == "Sequence" && depth < 16) {
    const JsonView list = part.at("processors");
    for (size_t i = 0; i < list.size(); ++i) prefix += post_processor_prefix(list[i], depth + 1);
  } else if (type == "TemplateProcessing") {
    const JsonView single = part.at("single");
    for (size_t i = 0; i < single.size(); ++i) {
      const auto special = single[i].find("SpecialToken");
      if (!special) break;
      prefix += special->at("id").text();
    }
  }
  return prefix;
}

}  // namespace

std::optional<ChatTemplate> load_chat_template(const fs::path& model_dir) {
  const std::optional<Source> source = find_template(model_dir);
  if (!source) return std::nullopt;
  std::vector<std::pair<std::string, std::string>> tokens;
  for (const auto& [name, token] : text::load_declared_tokens(model_dir).named) {
    tokens.emplace_back(name, token.token.content);
  }
  const text::Frame frame =
      text::render_template(source->text, tokens, (model_dir / source->file).string());
  return ChatTemplate{source->file,
                      frame.prefix,
                      frame.suffix,
                      frame.fixed_date,
                      frame.trims == "start" || frame.trims == "both",
                      frame.trims == "end" || frame.trims == "both"};
}

std::string bos_text(const fs::path& model_dir) {
  const auto config_file = model_dir / "tokenizer_config.json";
  if (fs::exists(config_file)) {
    const nlohmann::json document = read_json(config_file);
    const JsonView config(document, config_file.string());
    if (const auto add = config.find("add_bos_token")) {
      if (!add->boolean()) return "";
      const std::string bos = text::load_declared_tokens(model_dir).text("bos_token");
      if (bos.empty()) add->fail("is true, but there is no bos_token");
      return bos;
    }
  }
  const auto tokenizer_file = model_dir / "tokenizer.json";
  if (!fs::exists(tokenizer_file)) return "";
  const nlohmann::json document = read_json(tokenizer_file);
  const auto part = JsonView(document, tokenizer_file.string()).find("post_processor");
  return part ? post_processor_prefix(*part, 0) : "";
}

}  // namespace kvbench
