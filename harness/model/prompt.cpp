#include "harness/model/prompt.h"

#include "harness/base/error.h"
#include "harness/base/hash.h"

namespace kvbench {

PromptFormat::PromptFormat(const std::filesystem::path& model_dir, ChatTemplateUse use)
    : tokenizer_(Tokenizer::load_folder(model_dir)) {
  if (use != ChatTemplateUse::kNo) chat_template_ = load_chat_template(model_dir);
  if (chat_template_) {
    prefix_ = chat_template_->prefix;
    suffix_ = chat_template_->suffix;
    return;
  }
  if (use == ChatTemplateUse::kYes) {
    throw_input_error(
        "{}: no chat template; expected chat_template.jinja or \"chat_template\" in "
        "tokenizer_config.json (`chat_template: auto` or `false` runs without one)",
        model_dir.string());
  }
  prefix_ = bos_text(model_dir);
  suffix_ = "\n";
}

std::vector<int64_t> PromptFormat::end_tokens(const ModelConfig& model) const {
  if (!model.end_tokens.empty() || tokenizer_.eos_id() < 0) return model.end_tokens;
  return {tokenizer_.eos_id()};
}

std::string PromptFormat::hash() const {
  return sha256_hex(fmt::format("prefix {} {}\nquestion, suffix {} {}, answer prefix",
                                prefix_.size(), prefix_, suffix_.size(), suffix_));
}

int64_t PromptFormat::n_around() const {
  return static_cast<int64_t>(tokenizer_.encode(prefix_).size() +
                              tokenizer_.encode(suffix_).size());
}

std::vector<int32_t> PromptFormat::context(const std::string& text) const {
  return tokenizer_.encode(prefix_ + text);
}

std::vector<int32_t> PromptFormat::question(const std::string& text,
                                            const std::string& answer_prefix) const {
  return tokenizer_.encode(text + suffix_ + answer_prefix);
}

std::string template_text(const PromptFormat& format) {
  const auto& used = format.chat_template();
  if (!used) return "none";
  return used->file + (used->fixed_date ? fmt::format(", today is {}", kTemplateDate) : "");
}

void check_prompt(const std::string& place, const ModelConfig& model,
                  const std::vector<int32_t>& context, const std::vector<int32_t>& question,
                  int64_t max_new_tokens, int64_t n_around, bool compressed) {
  const auto n_tokens = static_cast<int64_t>(context.size() + question.size()) + max_new_tokens;
  if (n_tokens > model.most_tokens(compressed)) {
    throw_input_error(
        "{}: {} tokens (context {}, question {}{}, answer up to {}) are more than the model's {}",
        place, n_tokens, context.size(), question.size(),
        n_around == 0 ? "" : fmt::format(", {} of these the chat template's", n_around),
        max_new_tokens, model.token_limit(compressed));
  }
  for (const auto* ids : {&context, &question}) {
    for (const auto id : *ids) {
      if (id >= 0 && id < model.vocab_size) continue;
      throw_input_error("{}: token id {} is outside the model's vocabulary of {}", place, id,
                        model.vocab_size);
    }
  }
}

}  // namespace kvbench
