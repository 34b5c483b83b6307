#define PCRE2_CODE_UNIT_WIDTH 8
#include "harness/text/regex.h"

#include <pcre2.h>

#include <array>

#include "harness/base/error.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

// Reads a pattern left to right and writes it for PCRE2.
class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (in_class_) {
        class_item();
      } else {
        item();
      }
    }
    if (in_class_) fail("has no ] for its [");
    return out_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw_input_error("{}: the regular expression {} {} (at byte {})", where_, pattern_, what, at_);
  }

  bool starts_with(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  void copy(size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  void item() {
    const char c = pattern_[at_];
    if (c == '\\') {
      escape();
    } else if (c == '[') {
      in_class_ = true;
      copy(starts_with("[^") ? 2 : 1);
      if (starts_with("]")) fail("starts a class with ], which is not supported");
    } else if (starts_with("(?") || starts_with("(*")) {
      group();
    } else if (c == '{') {
      repeat();
    } else if (c == '^' || c == '$') {
      fail("uses an anchor ^ or $, which is not supported");
    } else {
      copy(1);
    }
  }

  void group() {
    for (const std::string_view known : {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"}) {
      if (starts_with(known)) return copy(known.size());
    }
    fail("uses a group that is not supported");
  }

  // {n}, {n,} and {n,m}; {,m} and a following + mean different things in the two engines.
  void repeat() {
    const size_t end = pattern_.find('}', at_);
    if (end == std::string_view::npos || end == at_ + 1 || pattern_[at_ + 1] == ',') {
      fail("uses a repeat count that is not supported");
    }
    for (size_t i = at_ + 1; i < end; ++i) {
      if ((pattern_[i] < '0' || pattern_[i] > '9') && pattern_[i] != ',') {
        fail("uses a repeat count that is not supported");
      }
    }
    copy(end + 1 - at_);
    if (starts_with("+")) fail("uses a possessive repeat count, which is not supported");
  }

  void class_item() {
    const char c = pattern_[at_];
    if (c == '\\') {
      escape();
    } else if (c == '[' || starts_with("&&")) {
      fail("uses a nested class or &&, which is not supported");
    } else {
      in_class_ = c != ']';
      copy(1);
    }
  }

  void escape() {
    if (at_ + 1 >= pattern_.size()) fail("ends with a backslash");
    const char c = pattern_[at_ + 1];
    switch (c) {
      // PCRE2's \s has U+180E too, Oniguruma's is the property.
      case 's':
        return replace("\\p{White_Space}");
      case 'S':
        return replace("\\P{White_Space}");
      case 'w':  // PCRE2's \w lacks marks before version 10.43
        if (!in_class_) return replace("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]");
        return replace("\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}");
      case 'p':
      case 'P':
        return property();
      case 'd':
      case 'D':
      case 'n':
      case 'r':
      case 't':
      case 'f':
        return copy(2);
      default:
        break;
    }
    const auto u = static_cast<unsigned char>(c);
    const bool letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (u < 0x80 && !letter_or_digit) return copy(2);
    fail(fmt::format("uses an escape that is not supported: {}", pattern_.substr(at_, 2)));
  }

  void replace(std::string_view text) {
    out_ += text;
    at_ += 2;
  }

  // General categories are the same words in both; other names are scripts (PCRE2's plain
  // \p{Han} would be script extensions).
  void property() {
    const size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos) {
      fail("has a \\p without {name}");
    }
    std::string_view name = pattern_.substr(at_ + 3, end - at_ - 3);
    const bool negated = name.starts_with("^");
    if (negated) name.remove_prefix(1);
    constexpr std::array kCategories = {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc",
                                        "Me", "N",  "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps",
                                        "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So",
                                        "Z",  "Zs", "Zl", "Zp", "C",  "Cc", "Cf", "Co", "Cn"};
    bool category = false;
    for (const char* known : kCategories) category = category || name == known;
    for (const char c : name) {
      if ((c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '_') fail("has a bad \\p{name}");
    }
    if (name.empty()) fail("has a \\p without {name}");
    out_ += fmt::format("\\{}{{{}{}{}}}", pattern_[at_ + 1], negated ? "^" : "",
                        category ? "" : "sc:", name);
    at_ = end + 1;
  }

  std::string_view pattern_;
  const std::string& where_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

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
    : pattern_(pattern), where_(where) {
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
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

void Regex::find_spans(std::string_view text, std::vector<Span>& spans) const {
  thread_local Scratch scratch;
  spans.clear();
  if (text.empty()) return;
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  size_t previous = 0;               // end of the last span
  size_t from = 0;                   // where the next search starts
  size_t last_match_end = SIZE_MAX;  // an empty match right there is skipped, as in Rust's onig
  while (from <= text.size()) {
    // NO_UTF_CHECK: the caller's text is valid, and a check per search would be quadratic.
    const int rc = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                               PCRE2_NO_UTF_CHECK, scratch.data, scratch.context);
    if (rc == PCRE2_ERROR_NOMATCH) break;
    if (rc < 0) {
      throw_input_error("{}: the regular expression {} needs too many steps on a text of {} bytes",
                        where_, pattern_, text.size());
    }
    const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(scratch.data);
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

}  // namespace kvbench::text
