#include "harness/model/prompt.h"

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "harness/text/chat_template.h"

namespace kvbench {

PromptFormat::PromptFormat(const std::filesystem::path& model_dir, bool chat)
    : tokenizer_(Tokenizer::load(model_dir / "tokenizer.json")) {
  if (chat) {
    const ChatTemplate chat_template = load_chat_template(model_dir);
    prefix_ = chat_template.prefix;
    suffix_ = chat_template.suffix;
  } else {
    prefix_ = bos_text(model_dir);
    suffix_ = "\n";
  }
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

void check_prompt(const std::string& place, const ModelConfig& model,
                  const std::vector<int32_t>& context, const std::vector<int32_t>& question,
                  int64_t max_new_tokens, int64_t n_around) {
  const auto n_tokens = static_cast<int64_t>(context.size() + question.size()) + max_new_tokens;
  if (n_tokens > model.most_tokens()) {
    throw_input_error(
        "{}: {} tokens (context {}, question {}{}, answer up to {}) are more than the model's {}",
        place, n_tokens, context.size(), question.size(),
        n_around == 0 ? "" : fmt::format(", {} of these the chat template's", n_around),
        max_new_tokens, model.token_limit());
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
