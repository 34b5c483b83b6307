#define PCRE2_CODE_UNIT_WIDTH 8
#include "harness/text/regex.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "harness/base/error.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

// Oniguruma's \w; PCRE2's lacks marks before version 10.43.
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

// Reads a pattern left to right and writes it for PCRE2.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    groups_.push_back({0, 0});
    while (at_ < pattern_.size()) item();
    if (groups_.size() > 1) fail("has no ) for its (");
    close_options();
    return out_;
  }

 private:
  struct Group {
    size_t begin;  // in out_
    int options;   // (?i) and the like in it, which last to its end
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw_input_error("{}: the regular expression {} {} (at byte {})", where_, pattern_, what, at_);
  }

  bool starts_with(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void copy(size_t count, std::string& to) {
    to += pattern_.substr(at_, count);
    at_ += count;
  }

  void copy_character(std::string& to) {
    size_t count = 1;
    while (at_ + count < pattern_.size() && (pattern_[at_ + count] & 0xC0) == 0x80) ++count;
    copy(count, to);
  }

  void replace(size_t count, std::string_view text, std::string& to) {
    to += text;
    at_ += count;
  }

  void item() {
    const char c = pattern_[at_];
    if (c == '(') return open_group();
    if (c == ')') return close_group();
    if (c == '{') return repeat();
    if (c == '*' || c == '+' || c == '?' || c == '|') return copy(1, out_);
    atom_ = out_.size();
    if (c == '\\') {
      escape();
    } else if (c == '[') {
      out_ += char_class(0);
    } else if (c == '^' || c == '$') {  // of lines, in Ruby
      replace(1, c == '^' ? "(?m:^)" : "(?m:$)", out_);
    } else {
      copy_character(out_);
    }
  }

  void open_group() {
    groups_.push_back({out_.size(), 0});
    if (!starts_with("(?") && !starts_with("(*")) return copy(1, out_);
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (starts_with(known)) return copy(known.size(), out_);
    }
    if (starts_with("(?<")) return named_group();
    options();
  }

  // Nothing refers to a name: references are refused.
  void named_group() {
    const size_t end = pattern_.find('>', at_);
    if (end == std::string_view::npos || end == at_ + 3) fail("uses a group that is not supported");
    for (const char c : pattern_.substr(at_ + 3, end - at_ - 3)) {
      const bool word =
          (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
      if (!word) fail("uses a group that is not supported");
    }
    replace(end + 1 - at_, "(?:", out_);
  }

  // (?i:...) or (?i), which in Ruby is a group of all that follows in its group, other branches
  // included. Ruby's m is PCRE2's s.
  void options() {
    size_t end = at_ + 2;
    std::string translated;
    while (end < pattern_.size() &&
           std::string_view("im-").find(pattern_[end]) != std::string::npos) {
      translated += pattern_[end] == 'm' ? 's' : pattern_[end];
      ++end;
    }
    const char next = end < pattern_.size() ? pattern_[end] : '\0';
    if (translated.empty() || (next != ':' && next != ')')) {
      fail("uses a group that is not supported");
    }
    if (next == ')') {
      groups_.pop_back();
      ++groups_.back().options;
      atom_ = kNoAtom;
    }
    replace(end + 1 - at_, "(?" + translated + ":", out_);
  }

  void close_options() { out_.append(static_cast<size_t>(groups_.back().options), ')'); }

  void close_group() {
    if (groups_.size() == 1) fail("has a ) without its (");
    close_options();
    copy(1, out_);
    atom_ = groups_.back().begin;
    groups_.pop_back();
  }

  // {n}, {n,}, {n,m} and {,m}. In Ruby a + behind it repeats once more (elsewhere it makes it
  // possessive), and so does a ? behind {n}.
  void repeat() {
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos || atom_ == kNoAtom) {
      fail("uses a repeat count that is not supported");
    }
    std::string counts(pattern_.substr(at_ + 1, end - at_ - 1));
    const bool fixed = counts.find(',') == std::string::npos;
    if (counts.starts_with(',')) counts.insert(0, "0");
    const bool digits = std::all_of(counts.begin(), counts.end(),
                                    [](char c) { return (c >= '0' && c <= '9') || c == ','; });
    if (!digits || counts.empty() || counts == "0,") {
      fail("uses a repeat count that is not supported");
    }
    at_ = end + 1;
    const bool again = starts_with("+") || (fixed && starts_with("?"));
    if (again) out_.insert(atom_, "(?:");
    out_ += "{" + counts + "}";
    if (!again) return;
    out_ += ")";
    copy(1, out_);
  }

  // A class as an expression for one character. PCRE2 has neither classes in classes nor &&: what
  // uses them becomes alternatives and conditions.
  std::string char_class(int depth) {
    constexpr int kDeepest = 16;
    if (depth > kDeepest) fail("nests its classes too deeply");
    const bool negated = starts_with("[^");
    at_ += negated ? 2 : 1;
    if (starts_with("]")) fail("starts a class with ], which is not supported");
    std::string conditions, items;
    std::vector<std::string> inner;
    const auto part = [&]() -> std::string {
      std::string all = items.empty() ? "" : "[" + items + "]";
      for (const std::string& one : inner) all += (all.empty() ? "" : "|") + one;
      if (all.empty()) fail("has an empty class");
      items.clear();
      const bool plain = inner.empty();
      inner.clear();
      return plain ? all : "(?:" + all + ")";
    };
    while (!starts_with("]")) {
      if (at_ >= pattern_.size()) fail("has no ] for its [");
      if (starts_with("&&")) {
        conditions += "(?=" + part() + ")";
        at_ += 2;
      } else if (starts_with("[:")) {
        posix_class(items);
      } else if (starts_with("[")) {
        inner.push_back(char_class(depth + 1));
      } else if (pattern_[at_] == '\\') {
        class_escape(items);
      } else if (pattern_[at_] == '^') {
        replace(1, "\\^", items);
      } else {
        copy_character(items);
      }
    }
    ++at_;
    if (conditions.empty() && inner.empty()) {
      if (items.empty()) fail("has an empty class");
      return (negated ? "[^" : "[") + items + "]";
    }
    const std::string whole = conditions + part();
    return negated ? "(?:(?!" + whole + ")(?s:.))" : "(?:" + whole + ")";
  }

  // [:name:]
  void posix_class(std::string& items) {
    const size_t end = pattern_.find(":]", at_ + 2);
    const std::string_view name =
        end == std::string_view::npos ? "" : pattern_.substr(at_ + 2, end - at_ - 2);
    constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kNames = {{
        {"alpha", "\\p{Alphabetic}"},
        {"alnum", "\\p{Alphabetic}\\p{Nd}"},
        {"digit", "\\p{Nd}"},
        {"lower", "\\p{Lowercase}"},
        {"punct", "\\p{P}\\p{S}"},
        {"space", "\\p{White_Space}"},
        {"upper", "\\p{Uppercase}"},
        {"word", kWord},
    }};
    for (const auto& [known, translated] : kNames) {
      if (name == known) return replace(end + 2 - at_, translated, items);
    }
    fail("uses a [:name:] that is not supported");
  }

  // Outside of a class.
  void escape() {
    const char c = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    const std::string word = fmt::format("[{}]", kWord);
    switch (c) {
      case 'w':
        return replace(2, word, out_);
      case 'W':
        return replace(2, fmt::format("[^{}]", kWord), out_);
      case 'b':
        return replace(2, fmt::format("(?:(?<={0})(?!{0})|(?<!{0})(?={0}))", word), out_);
      case 'B':
        return replace(2, fmt::format("(?:(?<={0})(?={0})|(?<!{0})(?!{0}))", word), out_);
      case 'A':
      case 'z':
      case 'Z':
        return copy(2, out_);
      default:
        return any_escape(out_);
    }
  }

  void class_escape(std::string& items) {
    if (starts_with("\\w")) return replace(2, kWord, items);
    if (starts_with("\\b")) return replace(2, "\\x08", items);
    any_escape(items);
  }

  void any_escape(std::string& to) {
    if (at_ + 1 >= pattern_.size()) fail("ends with a backslash");
    const char c = pattern_[at_ + 1];
    switch (c) {
      // PCRE2's \s has U+180E too, Oniguruma's is the property.
      case 's':
        return replace(2, "\\p{White_Space}", to);
      case 'S':
        return replace(2, "\\P{White_Space}", to);
      case 'p':
      case 'P':
        return property(to);
      case 'u':
      case 'x':
        return code_point(to);
      case 'v':  // PCRE2's is a class
        return replace(2, "\\x0b", to);
      case 'd':
      case 'D':
      case 'n':
      case 'r':
      case 't':
      case 'f':
        return copy(2, to);
      default:
        break;
    }
    const auto u = static_cast<unsigned char>(c);
    const bool letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (u < 0x80 && !letter_or_digit) return copy(2, to);
    fail(fmt::format("uses an escape that is not supported: {}", pattern_.substr(at_, 2)));
  }

  // \uHHHH, \x{H...}, and \xHH where that is a character and no byte of one.
  void code_point(std::string& to) {
    const bool braces = starts_with("\\x{");
    const size_t begin = at_ + (braces ? 3 : 2);
    size_t end = begin;
    const size_t most = braces ? 8 : starts_with("\\u") ? 4 : 2;
    while (end < pattern_.size() && end - begin < most &&
           std::isxdigit(static_cast<unsigned char>(pattern_[end])) != 0) {
      ++end;
    }
    const std::string digits(pattern_.substr(begin, end - begin));
    const bool whole = braces ? end > begin && end < pattern_.size() && pattern_[end] == '}'
                              : digits.size() == most;
    const bool a_byte = most == 2 && !digits.empty() && digits[0] > '7';
    if (!whole || a_byte) {
      fail(fmt::format("uses an escape that is not supported: {}", pattern_.substr(at_, 2)));
    }
    replace(end + (braces ? 1 : 0) - at_, "\\x{" + digits + "}", to);
  }

  // General categories are the same words in both; other names are scripts (PCRE2's plain
  // \p{Han} would be script extensions).
  void property(std::string& to) {
    const size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos) {
      fail("has a \\p without {name}");
    }
    std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    const bool negated = name.starts_with("^");
    if (negated) name.remove_prefix(1);
    constexpr std::array kCategories = {
        "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",          "Mn",          "Mc",        "Me",
        "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd",         "Ps",          "Pe",        "Pi",
        "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",         "Z",           "Zs",        "Zl",
        "Zp", "C",  "Cc", "Cf", "Co", "Cn", "Alphabetic", "White_Space", "Uppercase", "Lowercase"};
    constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kOtherWords = {
        {{"Letter", "L"},
         {"Mark", "M"},
         {"Number", "N"},
         {"Punctuation", "P"},
         {"Symbol", "S"},
         {"Separator", "Z"},
         {"Other", "C"},
         {"Alpha", "Alphabetic"},
         {"Digit", "Nd"},
         {"Space", "White_Space"},
         {"Upper", "Uppercase"},
         {"Lower", "Lowercase"}}};
    for (const auto& [word, category] : kOtherWords) {
      if (name == word) name = category;
    }
    bool category = false;
    for (const char* known : kCategories) category = category || name == known;
    for (const char c : name) {
      if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_') fail("has a bad \\p{name}");
    }
    if (name.empty()) fail("has a \\p without {name}");
    to += fmt::format("\\{}{{{}{}{}}}", pattern_[at_ + 1], negated ? "^" : "",
                      category ? "" : "sc:", name);
    at_ = end + 1;
  }

  static constexpr size_t kNoAtom = std::string::npos;

  std::string_view pattern_;
  const std::string& where_;
  size_t at_ = 0;
  size_t atom_ = kNoAtom;  // where in out_ that begins which a count would repeat
  std::vector<Group> groups_;
  std::string out_;
};

// PCRE2 counts \A as a look-behind, but not ^; the translation lets no other start anchor through,
// and writes \^ for one that is no negation in a class.
bool looks_only_ahead(const pcre2_code* code, std::string_view translated) {
  uint32_t behind = 0, empty = 0;
  pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &behind);
  pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &empty);
  bool anchor = false, begins_class = false;
  for (size_t i = 0; i < translated.size(); ++i) {
    anchor = anchor || (translated[i] == '^' && !begins_class);
    begins_class = translated[i] == '[';
    if (translated[i] == '\\') ++i;
  }
  return behind == 0 && empty == 0 && !anchor;
}

void find_literal(std::string_view text, std::string_view wanted, std::vector<Regex::Span>& spans) {
  spans.clear();
  size_t previous = 0;
  for (size_t at = text.find(wanted); at != text.npos; at = text.find(wanted, previous)) {
    if (previous != at) spans.push_back({previous, at, false});
    previous = at + wanted.size();
    spans.push_back({at, previous, true});
  }
  if (previous != text.size()) spans.push_back({previous, text.size(), false});
}

// What a running match needs, one per thread: the compiled code is shared, this is not.
struct Scratch {
  Scratch() {
    data = pcre2_match_data_create(1, nullptr);
    context = pcre2_match_context_create(nullptr);
    // Reserved, not touched, until a match goes deep; the default of 32 KiB is on the stack.
    stack = pcre2_jit_stack_create(32 * 1024, 16 * 1024 * 1024, nullptr);
    KVB_CHECK(data != nullptr && context != nullptr, "out of memory for PCRE2");
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Scratch() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  pcre2_match_data* data = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
};

const Scratch& scratch() {
  thread_local const Scratch of_this_thread;
  return of_this_thread;
}

}  // namespace

std::string translate_regex(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

Regex::Regex(const std::string& pattern, const std::string& where)
    : Regex(pattern, where, /*literal=*/false) {}

Regex Regex::literal(const std::string& text, const std::string& where) {
  return Regex(text, where, /*literal=*/true);
}

Regex::Regex(const std::string& pattern, const std::string& where, bool literal)
    : pattern_(pattern), where_(where), literal_(literal && !pattern.empty()) {
  const std::string translated = literal ? pattern : translate_regex(pattern, where);
  const uint32_t options =
      literal ? PCRE2_UTF | PCRE2_LITERAL : PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  KVB_CHECK(context != nullptr, "out of memory for PCRE2");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);  // `.` stops at \n alone, as in Oniguruma
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                                   translated.size(), options, &error, &offset, context.get());
  if (code == nullptr) {
    std::array<PCRE2_UCHAR, 256> message{};
    pcre2_get_error_message(error, message.data(), message.size());
    throw_input_error("{}: the regular expression {} does not compile: {} (at byte {} of {})",
                      where, pattern, reinterpret_cast<const char*>(message.data()), offset,
                      translated);
  }
  code_ = std::shared_ptr<const void>(code, [](const void* p) {
    pcre2_code_free(const_cast<pcre2_code*>(static_cast<const pcre2_code*>(p)));
  });
  // A refusal (no executable memory) leaves the interpreter, which gives the same matches.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  forgets_ = looks_only_ahead(code, translated);
}

void Regex::find_spans(std::string_view text, std::vector<Span>& spans) const {
  if (literal_) return find_literal(text, pattern_, spans);
  spans.clear();
  if (text.empty()) return;
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  size_t previous = 0;               // end of the last span
  size_t from = 0;                   // where the next search starts
  size_t last_match_end = SIZE_MAX;  // an empty match right there is skipped, as in Rust's onig
  while (from <= text.size()) {
    // NO_UTF_CHECK: the caller's text is valid, and a check per search would be quadratic.
    const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK, scratch().data, scratch().context);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      throw_input_error("{}: the regular expression {} needs too many steps on a text of {} bytes",
                        where_, pattern_, text.size());
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch().data);
    const size_t begin = bounds[0], end = bounds[1];
    if (begin == end && end == last_match_end) {
      if (from >= text.size()) break;
      next_code_point(text, from);
      continue;
    }
    if (previous != begin) spans.push_back({previous, begin, false});
    spans.push_back({begin, end, true});
    previous = from = last_match_end = end;
  }
  if (previous != text.size()) spans.push_back({previous, text.size(), false});
}

Regex::Rest Regex::find_settled_spans(std::string_view text, std::vector<Span>& spans) const {
  KVB_CHECK(forgets_, "{} may look behind", pattern_);
  spans.clear();
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  for (size_t previous = 0; previous < text.size();) {
    const int rc =
        pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), previous,
                    PCRE2_NO_UTF_CHECK | PCRE2_PARTIAL_HARD, scratch().data, scratch().context);
    if (rc == PCRE2_ERROR_NOMATCH) return Rest::kGap;
    if (rc < 0) break;  // partial, or too many steps
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch().data);
    if (previous != bounds[0]) spans.push_back({previous, bounds[0], false});
    spans.push_back({bounds[0], bounds[1], true});
    previous = bounds[1];
  }
  return Rest::kUndecided;
}

}  // namespace kvbench::text
