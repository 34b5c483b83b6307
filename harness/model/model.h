// A model folder with everything a run needs of it: weights, tokenizer, chat template, identity.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "harness/config/model_spec.h"
#include "harness/model/decoder.h"
#include "harness/text/chat_template.h"
#include "harness/text/tokenizer.h"

namespace kvbench {

// Makes a fetchable model's folder when it is missing (runs set-up, which shows its progress).
// Throws InputError when the folder is missing and cannot be made.
void ensure_model(const ModelSpec& spec);

// The dtype a specification asks for: its own, else the one that the weights are stored in.
at::ScalarType model_dtype(const ModelSpec& spec, const ModelConfig& config);
std::string dtype_name(at::ScalarType dtype);

// What stands around a context in the prompt, and how a text becomes ids.
class PromptFormat {
 public:
  // Reads tokenizer.json, and the chat template when `chat`. Throws InputError.
  PromptFormat(const std::filesystem::path& model_dir, bool chat);

  const Tokenizer& tokenizer() const { return tokenizer_; }

  // PREFIX + context; the question follows in a second piece, so both are tokenised apart
  // (ruler.md 7).
  std::vector<int32_t> context(const std::string& text) const;
  // question + SUFFIX + answer prefix. Without a chat template SUFFIX is a newline.
  std::vector<int32_t> question(const std::string& text, const std::string& answer_prefix) const;

 private:
  Tokenizer tokenizer_;
  std::string prefix_, suffix_;
};

// SHA-256 over config.json and the weight files; of tokenizer.json ("" when there is none).
std::string model_hash(const std::filesystem::path& model_dir);
std::string tokenizer_hash(const std::filesystem::path& model_dir);

}  // namespace kvbench
