#include "harness/text/chat_template.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/text/jinja.h"

namespace kvbench {

using text::canonical_jinja;
using text::jinja_literal;
using text::kLiteralBegin;
using text::kLiteralEnd;

namespace {

// A canonical template and the questions that are asked of it.
class Canonical {
 public:
  explicit Canonical(std::string text) : text_(std::move(text)) {}

  bool has(std::string_view part) const { return text_.find(part) != std::string::npos; }
  bool starts_with(std::string_view part) const { return text_.starts_with(part); }
  bool ends_with(std::string_view part) const { return text_.ends_with(part); }

  // The literal right behind `before`, where one first stands there.
  std::optional<std::string> literal_after(std::string_view before) const {
    for (size_t at = text_.find(before); at != std::string::npos; at = text_.find(before, at + 1)) {
      if (auto literal = literal_at(at + before.size())) return literal;
    }
    return std::nullopt;
  }

  // A literal that holds some text, with what stands around it.
  struct Place {
    std::string literal;
    std::string_view before, after;
  };
  std::vector<Place> literals_with(std::string_view part) const {
    std::vector<Place> places;
    for (size_t at = text_.find(kLiteralBegin); at != std::string::npos;
         at = text_.find(kLiteralBegin, at + 1)) {
      const auto literal = literal_at(at);
      if (!literal || literal->find(part) == std::string::npos) continue;
      places.push_back({*literal, std::string_view(text_).substr(0, at),
                        std::string_view(text_).substr(at + literal->size() + 2)});
    }
    return places;
  }

 private:
  std::optional<std::string> literal_at(size_t at) const {
    if (at >= text_.size() || text_[at] != kLiteralBegin) return std::nullopt;
    const size_t end = text_.find(kLiteralEnd, at);
    if (end == std::string::npos) return std::nullopt;
    return text_.substr(at + 1, end - at - 1);
  }

  std::string text_;
};

using Found = std::optional<ChatTemplate>;

// What the template writes for add_generation_prompt, thinking switched off where it can be: so
// kvpress renders it (pipeline.py, apply_chat_template(..., enable_thinking=False)).
std::optional<std::string> generation_prompt(const Canonical& t) {
  const std::string condition = "{%if add_generation_prompt%}{{";
  const auto prompt = t.literal_after(condition);
  if (!prompt) return std::nullopt;
  const std::string whole = condition + jinja_literal(*prompt) + "}}";
  if (t.has(whole + "{%endif%}")) return prompt;
  const std::string no_thinking =
      whole + "{%if enable_thinking is defined and enable_thinking is false%}{{";
  const auto skipped = t.literal_after(no_thinking);
  if (skipped && t.has(no_thinking + jinja_literal(*skipped) + "}}{%endif%}{%endif%}")) {
    return *prompt + *skipped;
  }
  return std::nullopt;
}

// The system block that a ChatML template writes when the conversation has none: "" when it writes
// none, nullopt when it cannot be told.
std::optional<std::string> chatml_system(const Canonical& t) {
  constexpr std::string_view kBegin = "<|im_start|>system\n", kEnd = "<|im_end|>\n";
  std::string block;
  for (const auto& [literal, before, after] : t.literals_with("<|im_start|>system")) {
    const bool given = literal == kBegin && after.starts_with("+messages[0].content");
    const bool with_tools = literal == kBegin && before.ends_with("{%if tools%}{{");
    if (given || with_tools) continue;
    const bool whole = literal.starts_with(kBegin) && literal.ends_with(kEnd) &&
                       literal.find("<|im_", kBegin.size()) == literal.size() - kEnd.size();
    const bool by_default =
        before.ends_with("{%else%}{{") ||
        before.ends_with("messages[0].role!=" + jinja_literal("system") + "%}{{");
    if (!whole || !by_default || (!block.empty() && block != literal)) return std::nullopt;
    block = literal;
  }
  return block;
}

Found chatml(const Canonical& t, const std::string& bos) {
  const std::string head =
      "{{" + jinja_literal("<|im_start|>") + "+message.role+" + jinja_literal("\n") + "+";
  const std::string tail = "+" + jinja_literal("<|im_end|>\n") + "}}";
  const bool turn = t.has(head + "message.content" + tail) ||
                    (t.has(head + "content" + tail) && t.has("{%set content=message.content%}"));
  const auto prompt = generation_prompt(t);
  const auto system = chatml_system(t);
  if (!turn || !prompt || !prompt->starts_with("<|im_start|>assistant") || !system) {
    return std::nullopt;
  }
  const bool starts_with_bos = t.starts_with("{{bos_token}}");
  if (!starts_with_bos && t.has("bos_token")) return std::nullopt;
  return ChatTemplate{"chatml", (starts_with_bos ? bos : "") + *system + "<|im_start|>user\n",
                      "<|im_end|>\n" + *prompt};
}

Found llama3(const Canonical& t, const std::string& bos) {
  const std::string turn = jinja_literal("<|start_header_id|>") + "+message.role+" +
                           jinja_literal("<|end_header_id|>\n\n") + "+message.content|trim+" +
                           jinja_literal("<|eot_id|>");
  const std::string assistant = "<|start_header_id|>assistant<|end_header_id|>\n\n";
  // The first template of Llama 3 wrote the assistant header unasked.
  const bool prompted = generation_prompt(t) == assistant ||
                        t.ends_with("{%endfor%}{{" + jinja_literal(assistant) + "}}");
  const bool starts_with_bos =
      t.starts_with("{{bos_token}}") || t.has("{%set content=bos_token+content%}");
  if (!t.has(turn) || !prompted || !starts_with_bos) return std::nullopt;
  std::string system;
  if (!t.literals_with("<|start_header_id|>system").empty()) {  // 3.1 and later
    // 3.2 takes today's date where it can; its fixed date keeps runs comparable.
    const std::string head = "<|start_header_id|>system<|end_header_id|>\n\n";
    const std::string knowledge = "Cutting Knowledge Date: December 2023\nToday Date: ";
    const auto date = t.literal_after("{%set date_string=");
    if (!date) return std::nullopt;
    if (!t.has("{{" + jinja_literal(head) + "}}") ||
        !t.has("{{" + jinja_literal(knowledge) + "+date_string+" + jinja_literal("\n\n") + "}}") ||
        !t.has("{{system_message+" + jinja_literal("<|eot_id|>") + "}}")) {
      return std::nullopt;
    }
    system = head + knowledge + *date + "\n\n<|eot_id|>";
  }
  return ChatTemplate{"llama3", bos + system + "<|start_header_id|>user<|end_header_id|>\n\n",
                      "<|eot_id|>" + assistant};
}

// Llama 2 and Mistral; the blanks around [INST] and [/INST] are those of the template.
Found inst(const Canonical& t, const std::string& bos) {
  if (t.has("add_generation_prompt")) return std::nullopt;
  // A default system text: Llama 2's is never on in released models, Mistral's later ones are
  // dated.
  for (const auto& [literal, before, after] : t.literals_with("")) {
    if (!literal.empty() && before.ends_with("system_message=")) return std::nullopt;
  }
  Found found;
  bool llama2 = false;
  for (const auto& [literal, before, after] : t.literals_with("[INST]")) {
    for (const std::string_view content : {"+message.content+", "+content.strip()+"}) {
      if (!after.starts_with(content)) continue;
      const Canonical rest{std::string(after)};
      const auto close = rest.literal_after(content);
      if (!close || close->find("[/INST]") == std::string::npos) return std::nullopt;
      if (found && (found->prefix != literal || found->suffix != *close)) return std::nullopt;
      found = ChatTemplate{"", literal, *close};
      llama2 = llama2 || content == "+content.strip()+";
    }
  }
  if (!found) return std::nullopt;
  found->family = llama2 ? "llama2" : "mistral";
  if (t.has("{{bos_token}}") || t.has("{{bos_token+" + jinja_literal(found->prefix))) {
    found->prefix = bos + found->prefix;
  } else if (t.has("bos_token")) {
    return std::nullopt;
  }
  return found;
}

// A special token of tokenizer_config.json: its text, or an object that holds it.
std::string token_text(const JsonView& config, const std::string& key) {
  const auto token = config.find(key);
  if (!token) return "";
  return token->value().is_object() ? token->at("content").text() : token->text();
}

std::string template_source(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "chat_template.jinja";
  if (std::filesystem::exists(file)) return read_file(file);
  const auto config_file = model_dir / "tokenizer_config.json";
  if (!std::filesystem::exists(config_file)) return "";
  const nlohmann::json document = read_json(config_file);
  const auto source = JsonView(document, config_file.string()).find("chat_template");
  if (!source) return "";
  if (!source->value().is_array()) return source->text();
  for (size_t i = 0; i < source->size(); ++i) {  // several, by name
    if ((*source)[i].at("name").text() == "default") return (*source)[i].at("template").text();
  }
  source->fail("expected a template with the name \"default\"");
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

ChatTemplate load_chat_template(const std::filesystem::path& model_dir) {
  const std::string source = template_source(model_dir);
  if (source.empty()) {
    throw_input_error(
        "{}: no chat template; expected chat_template.jinja or \"chat_template\" in "
        "tokenizer_config.json (`chat_template: false` runs without one)",
        model_dir.string());
  }
  std::string bos;
  const auto config_file = model_dir / "tokenizer_config.json";
  if (std::filesystem::exists(config_file)) {
    const nlohmann::json document = read_json(config_file);
    bos = token_text(JsonView(document, config_file.string()), "bos_token");
  }
  std::string reason =
      "it is none of ChatML, Llama 2, Llama 3 and Mistral, or says more than they do";
  try {
    const Canonical t(canonical_jinja(source));
    for (const auto recognise : {chatml, llama3, inst}) {
      if (const Found found = recognise(t, bos)) return *found;
    }
  } catch (const InputError& e) {
    reason = e.what();
  }
  throw_input_error(
      "{}: the chat template is not supported: {} (`chat_template: false` runs without one)",
      model_dir.string(), reason);
}

std::string bos_text(const std::filesystem::path& model_dir) {
  const auto config_file = model_dir / "tokenizer_config.json";
  if (std::filesystem::exists(config_file)) {
    const nlohmann::json document = read_json(config_file);
    const JsonView config(document, config_file.string());
    if (const auto add = config.find("add_bos_token")) {
      if (!add->boolean()) return "";
      const std::string bos = token_text(config, "bos_token");
      if (bos.empty()) add->fail("is true, but there is no bos_token");
      return bos;
    }
  }
  const auto tokenizer_file = model_dir / "tokenizer.json";
  if (!std::filesystem::exists(tokenizer_file)) return "";
  const nlohmann::json document = read_json(tokenizer_file);
  const auto part = JsonView(document, tokenizer_file.string()).find("post_processor");
  return part ? post_processor_prefix(*part, 0) : "";
}

}  // namespace kvbench
