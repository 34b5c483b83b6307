// The `added_tokens` of a tokenizer.json: texts that are found before anything else is done to the
// input (special tokens such as <|im_start|>, and tokens added to a trained vocabulary).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "harness/base/json_view.h"
#include "harness/text/bpe.h"
#include "harness/text/normalizer.h"

namespace kvbench::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  std::string pattern;       // what is looked for: the content, normalized when `normalized`
  bool single_word = false;  // not next to a word character
  bool lstrip = false;       // takes the white space on its left
  bool rstrip = false;       // and on its right
  bool normalized = false;   // looked for in the normalized text
  bool special = false;      // left out of a decoded text on demand
};

class AddedTokens {
 public:
  // Part of a text: an added token, or text between them.
  struct Part {
    int32_t id;         // -1 = text
    size_t begin, end;  // bytes
  };

  AddedTokens() = default;
  AddedTokens(const JsonView& list, const Bpe& model, const Normalizer& normalizer);

  // Cuts `text` at the tokens that are looked for in a text as given (`normalized` false) or in a
  // normalized one. Leftmost match first, the longest of several. Thread-safe.
  std::vector<Part> split(std::string_view text, bool normalized) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  int32_t token_id(std::string_view content) const;  // -1: none
  bool is_special(const std::string& content) const { return special_.contains(content); }

 private:
  // Prefix tree over bytes.
  struct Tree {
    struct Node {
      std::vector<std::pair<unsigned char, int32_t>> children;
      int32_t token = -1;  // index into tokens_
    };
    std::vector<Node> nodes{Node{}};
    std::array<bool, 256> starts{};  // bytes that some pattern starts with

    bool add(std::string_view pattern, int32_t token);  // false: there already
    // Longest pattern at `begin`, or -1.
    int32_t match(std::string_view text, size_t begin) const;
    int32_t child(int32_t node, unsigned char byte) const;
  };

  std::vector<AddedToken> tokens_;
  TokenIds ids_;
  std::unordered_set<std::string> special_;
  Tree as_given_, as_normalized_;
};

}  // namespace kvbench::text
