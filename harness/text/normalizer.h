// The `normalizer` of a tokenizer.json: NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Lowercase,
// StripAccents and Sequences of them.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "harness/base/json_view.h"
#include "harness/text/regex.h"

namespace kvbench::text {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

// Prepends the text unless there is nothing to prepend it to.
struct Prepend {
  std::string text;
};

// White space off the ends.
struct StripBlanks {
  bool left, right;
};

// Every character by itself, as Rust's char::to_lowercase.
struct Lowercase {};

// Drops marks (general category M).
struct StripAccents {};

struct Replace {
  Regex pattern;
  std::string content;

  // From {"pattern": {"String": ...} or {"Regex": ...}, "content": ...}; a decoder has it too.
  static Replace parse(const JsonView& part);
  std::string apply(std::string_view text) const;
};

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  explicit Normalizer(const JsonView& part);

  bool empty() const { return steps_.empty(); }
  // `text` is valid UTF-8, and so is the result. Thread-safe.
  std::string apply(std::string text) const;

 private:
  void add(const JsonView& part, int depth);

  std::vector<std::variant<NormalForm, Prepend, Replace, StripBlanks, Lowercase, StripAccents>>
      steps_;
};

// The pattern {"String": ...} or {"Regex": ...} at `key`.
Regex parse_pattern(const JsonView& part, const std::string& key);

// Deepest nesting of Sequences taken from a file.
inline constexpr int kMaxSequenceDepth = 16;

}  // namespace kvbench::text
