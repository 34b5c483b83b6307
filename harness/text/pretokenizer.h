// The `pre_tokenizer` of a tokenizer.json: cuts a text into the words that BPE works on. Split,
// Digits, Punctuation, Whitespace, WhitespaceSplit, ByteLevel, Metaspace and Sequences of them.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/base/json_view.h"
#include "harness/text/regex.h"

namespace kvbench::text {

// A word, or what will be cut further. Never empty.
struct Piece {
  std::string text;
  bool starts_input;  // nothing of the user's text stands before it
};

// What becomes of the matches of a split.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct Split {
  Regex pattern;
  SplitBehavior behavior;
  bool invert;  // the gaps are the matches
};

// Numeric characters (general category N) apart from the rest.
struct Digits {
  bool individual;  // each apart, or runs of them
};

// White space apart from the rest (and dropped).
struct WhitespaceSplit {};

// ASCII punctuation and general category P.
struct Punctuation {
  SplitBehavior behavior;
};

struct ByteLevel {
  bool add_prefix_space;
  bool use_regex;  // split by GPT-2's expression first
};

struct Metaspace {
  enum class Prepend { kFirst, kAlways, kNever };
  std::string replacement;  // one character, for blanks
  Prepend prepend;
  bool split;

  // A decoder has the same fields.
  static Metaspace parse(const JsonView& part);
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // the whole text is one word
  explicit PreTokenizer(const JsonView& part);

  // Replaces the pieces by their parts; texts are valid UTF-8. Thread-safe.
  void apply(std::vector<Piece>& pieces) const;

  // Where a text may be cut into segments, so that their words in a row are its words.
  enum class Cuts {
    kNone,
    // Where settled_words() says so: all steps cut at spans of expressions that forget what stands
    // before them (Regex::forgets), or at classes of characters; ByteLevel may come last.
    kSettled,
    // Before a word mark (U+2581) behind another character, when BPE never joins across that: there
    // are no steps for this text, it is one word.
    kWordMarks,
    // Before a blank behind another character, which Metaspace makes such a mark; when BPE never
    // joins across it, or Metaspace cuts there anyway (kMetaspaceWords).
    kMetaspace,
    kMetaspaceWords
  };
  Cuts cuts(std::string_view text) const;

  // With Cuts::kSettled: appends the words of `text` up to `end` and returns true if one ends there
  // however the text goes on, and the words behind `end` are those of the rest alone.
  bool settled_words(std::string_view text, size_t end, std::vector<Piece>& words) const;

 private:
  Cuts find_cuts() const;
  void add(const JsonView& part, int depth);

  std::vector<std::variant<Split, Digits, WhitespaceSplit, Punctuation, ByteLevel, Metaspace>>
      steps_;
  Cuts cuts_ = Cuts::kWordMarks;
};

}  // namespace kvbench::text
