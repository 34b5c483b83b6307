// The `model` of a tokenizer.json: byte-pair encoding (Sennrich, Haddow, Birch, ACL 2016) as the
// Python library runs it, and the vocabulary that goes with it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "harness/base/json_view.h"

namespace kvbench::text {

// Largest token id taken from a file. The largest vocabularies today have 2.6e5 entries; the cap
// keeps a wrong id from costing gigabytes.
inline constexpr int64_t kMaxTokenId = (1 << 22) - 1;

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using TokenIds = std::unordered_map<std::string, int32_t, TextHash, std::equal_to<>>;

// The merges by the pair of ids that they join: a hash table with open addresses, because this
// look-up is most of the time that encoding takes.
class MergeTable {
 public:
  struct Merge {
    int32_t rank, id;  // place in the list of merges, id of the joined token
  };

  explicit MergeTable(size_t merges = 0);  // the most that will be set
  void set(int32_t left, int32_t right, Merge merge);
  const Merge* find(int32_t left, int32_t right) const;  // nullptr: not a merge

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  size_t slot_of(uint64_t key) const;  // the key's, or the free one where it would stand

  std::vector<Slot> slots_;  // a power of two, at most half full
};

class Bpe {
 public:
  explicit Bpe(const JsonView& model);

  const std::string& file() const { return file_; }
  int32_t token_id(std::string_view token) const;  // -1: not in the vocabulary
  const TokenIds& vocabulary() const { return vocabulary_; }

  // No token of a word lies across the start of a word mark (U+2581) that stands behind another
  // character, so that a word cut there has the ids of its two parts: no merge joins the two, no
  // character is dropped between marks, and no whole word is looked up.
  bool keeps_word_marks_apart() const;

  // Appends the ids of one word. Time O(n log n) in its length. Thread-safe.
  // Throws InputError for a character that needs an unknown token which the vocabulary lacks.
  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;

 private:
  struct Symbol {
    int32_t id;
    int32_t previous, next;  // neighbours, -1 = none
    bool removed;            // became part of its left neighbour
  };

  void read_vocabulary(const JsonView& model);
  void read_merges(const JsonView& model);
  void add_merge(const JsonView& merges, size_t index, const std::string& left,
                 const std::string& right);
  std::vector<Symbol> symbols_of(std::string_view word) const;
  void merge(std::vector<Symbol>& symbols) const;

  std::string file_;
  TokenIds vocabulary_;
  MergeTable merges_;
  std::string unknown_token_;  // "" = characters without token are dropped
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool joins_at_word_marks_ = false;  // some merge does
  int32_t unknown_id_ = -1;
  std::array<int32_t, 256> byte_ids_{};  // of <0x00> to <0xFF>, -1 = not in the vocabulary
  bool ignore_merges_ = false;           // a word that is a token needs no merges
};

}  // namespace kvbench::text
