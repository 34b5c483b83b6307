// Regular expressions of tokenizer.json files, run by PCRE2.
//
// The files are written for Oniguruma (Ruby syntax). Only constructs that mean the same in both are
// taken, after a translation of the few whose meaning differs; any other is an InputError.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kvbench::text {

class Regex {
 public:
  struct Span {
    size_t begin, end;  // bytes
    bool match;         // a match, or text between matches
  };

  // Throws InputError starting with `where` for a pattern that PCRE2 or the translation refuses.
  Regex(const std::string& pattern, const std::string& where);
  // Matches exactly this text.
  static Regex literal(const std::string& text, const std::string& where);

  // Matches of a valid UTF-8 text and the gaps between them, in order, covering it. Thread-safe.
  // Throws InputError when a match needs more steps than PCRE2 allows.
  void find_spans(std::string_view text, std::vector<Span>& spans) const;

  // Made by literal() of this text.
  bool is_literal(std::string_view text) const { return literal_ && pattern_ == text; }

  // Nothing that stands before a match decides it (no look-behind, no anchor at the start), and no
  // match is empty: from the end of a span on, a text has the spans of the rest alone. A cautious
  // answer: false for some patterns of which it holds.
  bool forgets() const { return forgets_; }

  enum class Rest {
    kUndecided,  // what follows decides where the next span ends
    kGap         // begins a gap that goes on at least to the end of the text
  };
  // The spans, from the start of the text, that are those of every text beginning with this one:
  // PCRE2 found each without looking behind the end (its partial matching says so). Returns what
  // the part behind them is.
  Rest find_settled_spans(std::string_view text, std::vector<Span>& spans) const;

 private:
  Regex(const std::string& pattern, const std::string& where, bool literal);

  std::shared_ptr<const void> code_;  // pcre2_code
  std::string pattern_, where_;
  bool literal_ = false;
  bool forgets_ = false;
};

// `pattern` in PCRE2's words; exposed for its test. Throws InputError starting with `where`.
std::string translate_regex(std::string_view pattern, const std::string& where);

}  // namespace kvbench::text
