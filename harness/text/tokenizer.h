// Token ids of a text and text of token ids, from a Hugging Face tokenizer.json.
//
// Families: byte-level BPE (SmolLM2, Llama 3, Qwen 2/2.5/3: Split, Digits and ByteLevel
// pre-tokenizers, NFC, ignore_merges) and SentencePiece-like BPE with byte fallback (Llama 2,
// Mistral). Anything else in the file is an InputError that names it, never a guess.
//
// Equality with the Python package was checked on every code point. It holds for those of Unicode
// 14, which PCRE2 10.42 knows; letters and digits that came later are split as unknown characters.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench {

class Tokenizer {
 public:
  // Throws InputError for a missing, malformed or unsupported file.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);

  // Equal to `tokenizers.Tokenizer.encode(text, add_special_tokens=False).ids`. Special tokens
  // written in the text are recognised. Settings for truncation and padding in the file are not
  // applied (transformers resets them too). Invalid UTF-8 is read as U+FFFD, one for each maximal
  // ill-formed part. Thread-safe.
  // Throws InputError for a text above 256 MiB, for one on which a regular expression of the file
  // needs too many steps, and for a character without a token when the file names an unknown token
  // that its vocabulary lacks.
  std::vector<int32_t> encode(std::string_view text) const;

  // Equal to `decode(ids, skip_special_tokens)`; invalid UTF-8 becomes U+FFFD as there.
  // Thread-safe. Ids outside the vocabulary (holes in it included) are an InputError.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const;

  // Id of an added or vocabulary token with exactly this text, or -1.
  int32_t token_id(std::string_view token) const;

  int64_t vocab_size() const;  // largest id + 1, added tokens included

  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvbench
