// The `added_tokens` of a tokenizer.json and of the files beside it: texts that are found before
// anything else is done to the input (special tokens such as <|im_start|>, and tokens added to a
// trained vocabulary).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "harness/base/json_view.h"
#include "harness/text/bpe.h"
#include "harness/text/declared_tokens.h"
#include "harness/text/normalizer.h"

namespace kvbench::text {

class AddedTokens {
 public:
  // Part of a text: an added token, or text between them.
  struct Part {
    int32_t id;         // -1 = text
    size_t begin, end;  // bytes
  };

  AddedTokens() = default;
  // `list` is that of tokenizer.json, if it has one; `declared` come from the other files. Throws
  // InputError for ids that are not those that the vocabulary gives.
  AddedTokens(const std::optional<JsonView>& list, const DeclaredTokens& declared, const Bpe& model,
              const Normalizer& normalizer);

  // Cuts `text` at the tokens that are looked for in a text as given (`normalized` false) or in a
  // normalized one. Leftmost match first, the longest of several. Thread-safe.
  std::vector<Part> split(std::string_view text, bool normalized) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  int32_t token_id(std::string_view content) const;  // -1: none
  bool is_special(const std::string& content) const { return special_.contains(content); }
  // What the other files add to tokenizer.json or change of it, one token a line; "" = nothing.
  const std::string& from_other_files() const { return from_other_files_; }

 private:
  int32_t add(AddedToken token, const Bpe& model, const Normalizer& normalizer);
  void add_declared(const DeclaredTokens& declared, const Bpe& model, const Normalizer& normalizer);

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
  std::unordered_map<int32_t, size_t> places_;  // of ids in tokens_
  int32_t largest_ = -1;                        // of the ids
  TokenIds ids_;
  std::string from_other_files_;
  std::unordered_set<std::string> special_;
  Tree as_given_, as_normalized_;
};

}  // namespace kvbench::text
