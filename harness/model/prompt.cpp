#include "harness/model/prompt.h"

#include <algorithm>

#include "harness/base/error.h"
#include "harness/base/hash.h"
#include "tasks/text.h"

namespace kvbench {

PromptFormat::PromptFormat(const std::filesystem::path& model_dir, ChatTemplateUse use)
    : tokenizer_(Tokenizer::load_folder(model_dir)), bos_(bos_text(model_dir)) {
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
  prefix_ = bos_;
  suffix_ = "\n";
}

std::vector<int64_t> PromptFormat::end_tokens(const ModelConfig& model, StopRule::Ends ends) const {
  if (ends == StopRule::Ends::kNever) return {};
  if (ends == StopRule::Ends::kEosOrNewline) {
    std::vector<int64_t> ids;
    if (tokenizer_.eos_id() >= 0) ids.push_back(tokenizer_.eos_id());
    const auto newline = tokenizer_.encode("\n");
    if (!newline.empty()) ids.push_back(newline.back());
    return ids;
  }
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

namespace {

// A template that trims the user's text does so to the pieces in the turn. Cut behind the context,
// as kvpress cuts, it meets a mark there instead of the text's end: then only the start is trimmed.
void trim_as(const ChatTemplate& used, bool is_one_text, std::string& context,
             std::string& question, std::string& in_turn) {
  if (used.trims_start) context = strip_start(context);
  if (!used.trims_end || !is_one_text) return;
  for (std::string* last : {&in_turn, &question, &context}) {
    *last = strip_end(*last);
    if (!last->empty()) return;
  }
}

}  // namespace

PromptFormat::Around PromptFormat::around(const PromptRule& rule) const {
  if (rule.frame == PromptRule::Frame::kBare) return {"", rule.plain_tail};
  if (rule.frame == PromptRule::Frame::kPlain || !chat_template_) return {bos_, rule.plain_tail};
  return {rule.second_bos && prefix_.starts_with(bos_) ? bos_ + prefix_ : prefix_, suffix_};
}

// Without a template there is no head: BOS counts as the context's, as in kvpress.
ContextFrame PromptFormat::context_frame(const PromptRule& rule) const {
  const auto [head, tail] = around(rule);
  const bool is_chat = chat_template_ && rule.frame == PromptRule::Frame::kChat;
  return {is_chat ? static_cast<int64_t>(tokenizer_.encode(head).size()) : 0,
          tokenizer_.encode(tail),
          [this](const std::string& text) { return tokenizer_.encode(text); }};
}

// LongBench pred.py: of a text that has more than `most` tokens, the tokenizer's BOS counted, both
// halves are decoded apart and put together. Returns how many tokens went.
int64_t PromptFormat::cut_middle(std::string& turn, int64_t most) const {
  const std::vector<int32_t> ids = tokenizer_.encode(bos_ + turn);
  const auto n_ids = static_cast<int64_t>(ids.size());
  if (n_ids <= most) return 0;
  const int64_t half = most / 2;
  turn = tokenizer_.decode({ids.begin(), ids.begin() + half}, /*skip_special_tokens=*/true) +
         tokenizer_.decode({ids.end() - half, ids.end()}, /*skip_special_tokens=*/true);
  return n_ids - 2 * half;
}

Prompt PromptFormat::prompt(const Sample& sample, const PromptRule& rule, bool whole_prompt,
                            int64_t room) const {
  const auto [head, tail] = around(rule);
  std::string context = sample.context, question = sample.question;
  std::string in_turn = rule.prefix_in_turn ? sample.answer_prefix : "";
  const std::string behind = rule.prefix_in_turn ? "" : sample.answer_prefix;
  Prompt prompt;
  if (rule.cut == PromptRule::Cut::kMiddle) {
    // Behind the cut the halves are tokenised anew, which may give a few tokens more.
    constexpr int64_t kRetokenised = 16;
    const int64_t around = static_cast<int64_t>(tokenizer_.encode(head).size() +
                                                tokenizer_.encode(tail + behind).size());
    const int64_t most =
        rule.max_length > 0 ? rule.max_length : std::max<int64_t>(room - around - kRetokenised, 2);
    std::string turn = context + question + in_turn;
    prompt.n_cut = cut_middle(turn, most);
    if (prompt.n_cut > 0) {
      // The question is still a piece of its own where the cut left it whole.
      const std::string asked = question + in_turn;
      const bool is_whole = turn.size() > asked.size() && turn.ends_with(asked);
      context = is_whole ? turn.substr(0, turn.size() - asked.size()) : turn;
      if (!is_whole) question = in_turn = "";
    }
  }
  if (chat_template_ && rule.frame == PromptRule::Frame::kChat) {
    trim_as(*chat_template_, rule.as_one_text, context, question, in_turn);
  }
  prompt.context_text = head + context + (whole_prompt ? question + in_turn : "");
  prompt.question_text = (whole_prompt ? "" : question + in_turn) + tail + behind;
  prompt.context = tokenizer_.encode(prompt.context_text);
  if (rule.as_one_text) {
    const auto all = tokenizer_.encode(prompt.context_text + prompt.question_text);
    const auto [in_all, end] =
        std::mismatch(all.begin(), all.end(), prompt.context.begin(), prompt.context.end());
    prompt.context.assign(all.begin(), in_all);
    prompt.question.assign(in_all, all.end());
  } else {
    prompt.question = tokenizer_.encode(prompt.question_text);
  }
  if (rule.cut == PromptRule::Cut::kEnd) {
    const auto n_context = static_cast<int64_t>(prompt.context.size());
    const int64_t most =
        rule.max_length > 0 ? rule.max_length : room - static_cast<int64_t>(prompt.question.size());
    if (n_context > most && most > 0) {
      prompt.n_cut = n_context - most;
      prompt.context.resize(static_cast<size_t>(most));
      prompt.context_text = tokenizer_.decode(prompt.context, /*skip_special_tokens=*/false);
    }
  }
  return prompt;
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
