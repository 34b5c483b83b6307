// A text as the model sees it: what the chat template writes around it, and its token ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/config/chat_template_use.h"
#include "harness/model/model_config.h"
#include "harness/text/chat_template.h"
#include "harness/text/tokenizer.h"
#include "policies/reconstruction.h"
#include "tasks/task.h"

namespace kvbench {

// A sample as the model sees it. The texts joined are the prompt, and so are the ids.
struct Prompt {
  std::string context_text, question_text;  // HEAD and context; question, TAIL and answer prefix
  std::vector<int32_t> context, question;   // what is compressed, and what is asked after that
  int64_t n_cut = 0;                        // tokens that the rule's cut took away
};

// What stands around a context in the prompt, and how a text becomes ids.
class PromptFormat {
 public:
  // Reads the tokenizer's files, and the chat template as `use` says. Throws InputError.
  PromptFormat(const std::filesystem::path& model_dir, ChatTemplateUse use);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  // What stands before a context and behind a question, as text.
  const std::string& prefix() const { return prefix_; }
  const std::string& suffix() const { return suffix_; }
  // The template that they come from; nullopt: none is used.
  const std::optional<ChatTemplate>& chat_template() const { return chat_template_; }

  // Ids that end an answer, as StopRule::Ends says; may be empty.
  std::vector<int64_t> end_tokens(const ModelConfig& model, StopRule::Ends ends = {}) const;

  // Hash of all that stands around the texts, and in which order.
  std::string hash() const;
  // Tokens of what stands around the texts.
  int64_t n_around() const;

  // HEAD and TAIL of the rule.
  struct Around {
    std::string head, tail;
  };
  Around around(const PromptRule& rule) const;

  // What scorers know that have the context read again; this format must outlive it.
  ContextFrame context_frame(const PromptRule& rule) const;

  // The pieces of a sample put together by the rule. With `whole_prompt` the question belongs to
  // what is compressed, else it is asked after that. `room` is the most tokens that a prompt may
  // have when the rule cuts and names no limit of its own.
  Prompt prompt(const Sample& sample, const PromptRule& rule, bool whole_prompt,
                int64_t room) const;

  // The default rule, piece by piece. PREFIX + context; the question follows in a second piece, so
  // both are tokenised apart (ruler.md 7).
  std::vector<int32_t> context(const std::string& text) const;
  // question + SUFFIX + answer prefix. Without a chat template SUFFIX is a newline.
  std::vector<int32_t> question(const std::string& text, const std::string& answer_prefix) const;

 private:
  int64_t cut_middle(std::string& turn, int64_t most) const;

  Tokenizer tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  std::string bos_;  // what the tokenizer adds before a text
  std::string prefix_, suffix_;
};

// Which chat template is used, in words: its file, or that there is none.
std::string template_text(const PromptFormat& format);

// Throws InputError, beginning with `place`, when a prompt with its answer is longer than the
// model takes (ModelConfig::most_tokens), or holds a token id that the model does not have.
// `n_around` tokens of it are the prompt format's, which the message then says. Needs no weights.
void check_prompt(const std::string& place, const ModelConfig& model,
                  const std::vector<int32_t>& context, const std::vector<int32_t>& question,
                  int64_t max_new_tokens, int64_t n_around = 0, bool compressed = true);

}  // namespace kvbench
