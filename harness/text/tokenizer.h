// Token ids of a text and text of token ids, from the tokenizer files of a Hugging Face folder.
//
// Families: byte-level BPE (SmolLM2, Llama 3, Qwen 2/2.5/3, DeepSeek: Split, Digits and ByteLevel
// pre-tokenizers, NFC, ignore_merges) and SentencePiece-like BPE with byte fallback (Llama 2,
// Mistral, Gemma). Anything else in the file is an InputError that names it, never a guess.
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
  // The tokenizer of a model folder: tokenizer.json with the tokens that tokenizer_config.json,
  // special_tokens_map.json and added_tokens.json add (declared_tokens.h). Throws InputError for a
  // missing, malformed or unsupported file, and for files that contradict each other.
  static Tokenizer load_folder(const std::filesystem::path& model_dir);
  // tokenizer.json alone.
  static Tokenizer load(const std::filesystem::path& tokenizer_json);

  // Equal to `tokenizers.Tokenizer.encode(text, add_special_tokens=False).ids`. Special tokens
  // written in the text are recognised. Settings for truncation and padding in the file are not
  // applied (transformers resets them too). Segments of earlier texts are remembered
  // (segment_encoder.h), so that a text which repeats them takes few nanoseconds a token. Invalid
  // UTF-8 is read as U+FFFD, one for each maximal ill-formed part. Thread-safe. Throws InputError
  // for a text above 256 MiB, for one on which a regular expression of the file needs too many
  // steps, and for a character without a token when the file names an unknown token that its
  // vocabulary lacks.
  std::vector<int32_t> encode(std::string_view text) const;

  // Equal to `decode(ids, skip_special_tokens)`; invalid UTF-8 becomes U+FFFD as there.
  // Thread-safe. Ids without a token (a model's vocabulary may be padded, and have holes) decode to
  // nothing, as there; negative ones are an InputError.
  std::string decode(const std::vector<int32_t>& ids, bool skip_special_tokens) const;

  // Id of an added or vocabulary token with exactly this text, or -1.
  int32_t token_id(std::string_view token) const;

  int64_t vocab_size() const;  // largest id + 1, added tokens included

  // Id of the token that ends a text, as the folder declares it ("eos_token"); -1 = none is
  // declared.
  int32_t eos_id() const;

  // What the files beside tokenizer.json add to it, one token a line; "" = nothing.
  const std::string& from_other_files() const;

  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvbench
