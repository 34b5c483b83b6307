// The `pre_tokenizer` of a tokenizer.json: cuts a text into the words that BPE works on. Split,
// Digits, Punctuation, Whitespace, WhitespaceSplit, ByteLevel, Metaspace and Sequences of them.
#pragma once

#include <string>
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

 private:
  void add(const JsonView& part, int depth);

  std::vector<std::variant<Split, Digits, WhitespaceSplit, Punctuation, ByteLevel, Metaspace>>
      steps_;
};

}  // namespace kvbench::text
