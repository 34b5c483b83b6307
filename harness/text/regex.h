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

 private:
  Regex(const std::string& pattern, const std::string& where, bool literal);

  std::shared_ptr<const void> code_;  // pcre2_code
  std::string pattern_, where_;
};

// `pattern` in PCRE2's words; exposed for its test. Throws InputError starting with `where`.
std::string translate_regex(std::string_view pattern, const std::string& where);

}  // namespace kvbench::text
