// The tokens that a model folder declares beside tokenizer.json: in tokenizer_config.json,
// special_tokens_map.json and added_tokens.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/base/json_view.h"

namespace kvbench::text {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  std::string pattern;       // what is looked for: the content, normalized when `normalized`
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes the white space on its left
  bool rstrip = false;       // and on its right
  bool normalized = false;   // looked for in the normalized text
  bool special = false;      // left out of a decoded text on demand
};

// From an object with `content`; flags that are not given are off, and `normalized` is then the
// opposite of `special`, as in the Python library.
AddedToken parse_added_token(const JsonView& item);

struct DeclaredTokens {
  struct Token {
    std::string where;  // file and key, for complaints
    AddedToken token;   // id -1: whatever it gets
  };
  // "bos_token", "eos_token" and so on, by name: what a chat template can ask for.
  std::vector<std::pair<std::string, Token>> named;
  std::vector<Token> added;  // with ids, ascending
  std::vector<Token> extra;  // further special tokens, without names
  // tokenizer_config.json lists added tokens: then the two older files count for nothing.
  bool in_config = false;

  // Text of a named token; "" = there is none.
  std::string text(std::string_view name) const;
  bool is_named(std::string_view content) const;  // the text of one
};

// With transformers' precedence (5.2, tokenization_utils_base.py, _from_pretrained): named tokens
// of tokenizer_config.json; when that has no added_tokens_decoder, those of special_tokens_map.json
// over them, and added_tokens.json. Throws InputError for malformed files. All may be absent.
DeclaredTokens load_declared_tokens(const std::filesystem::path& model_dir);

}  // namespace kvbench::text
