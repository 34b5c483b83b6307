#include "harness/text/jinja.h"

#include "harness/base/error.h"

namespace kvbench::text {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Whether a [ behind this character indexes something (and does not begin a list).
bool ends_a_value(char c) { return is_word_character(c) || c == ']' || c == ')'; }

class Reader {
 public:
  explicit Reader(std::string_view source) {
    for (size_t i = 0; i < source.size(); ++i) {
      if (source[i] == kLiteralBegin || source[i] == kLiteralEnd) fail("holds control characters");
      if (source[i] == '\r' && source.substr(i).starts_with("\r\n")) continue;
      source_ += source[i];
    }
    if (source_.ends_with('\n')) source_.pop_back();  // keep_trailing_newline is off
  }

  std::string run() {
    while (at_ < source_.size()) {
      const size_t open = next_tag();
      text(open);
      if (open == source_.size()) break;
      at_ = open + 2;
      if (at(0) == '+') fail("uses a + modifier");
      const char kind = source_[open + 1];
      const bool strip = at(0) == '-';
      if (strip) ++at_;
      if (kind == '#') {
        comment();
      } else {
        tag(kind == '{' ? "}}" : "%}");
      }
    }
    return out_;
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    throw_input_error("the template {}, which is not supported", what);
  }

  char at(size_t ahead) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  bool starts_with(std::string_view text) const {
    return std::string_view(source_).substr(at_).starts_with(text);
  }

  size_t next_tag() const {
    size_t open = source_.find('{', at_);
    while (open != std::string::npos && open + 1 < source_.size()) {
      const char kind = source_[open + 1];
      if (kind == '{' || kind == '%' || kind == '#') return open;
      open = source_.find('{', open + 1);
    }
    return source_.size();
  }

  // Template text up to the tag at `open`, with its white space controlled.
  void text(size_t open) {
    std::string_view text = std::string_view(source_).substr(at_, open - at_);
    const bool after_newline = at_ == 0 || line_start_;
    if (strip_next_) {
      while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    }
    if (open + 2 < source_.size()) {
      if (source_[open + 2] == '-') {
        while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
      } else if (source_[open + 1] != '{') {  // lstrip_blocks: blanks of the tag's own line
        size_t end = text.size();
        while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t')) --end;
        if (end > 0 ? text[end - 1] == '\n' : after_newline) text = text.substr(0, end);
      }
    }
    strip_next_ = line_start_ = false;
    if (!text.empty()) fail("writes text that stands outside its tags");
  }

  // After the end of a tag at at_: a minus there strips what follows, and trim_blocks takes the
  // first newline after a block or comment.
  void after_tag(bool minus, bool block) {
    strip_next_ = minus;
    if (block && at(0) == '\n') {
      ++at_;
      line_start_ = true;
    }
  }

  void comment() {
    const size_t end = source_.find("#}", at_);
    if (end == std::string::npos) fail("has an open comment");
    const bool minus = end > at_ && source_[end - 1] == '-';
    at_ = end + 2;
    after_tag(minus, true);
  }

  void tag(std::string_view close) {
    std::string inside;
    int braces = 0;
    while (true) {
      while (is_blank(at(0))) ++at_;
      if (at_ >= source_.size()) fail("has an open tag");
      if (braces == 0 &&
          (starts_with(close) || (at(0) == '-' && source_.compare(at_ + 1, 2, close) == 0))) {
        break;
      }
      if (at(0) == '\'' || at(0) == '"') {
        string(inside);
      } else if (is_word_character(at(0))) {
        if (!inside.empty() && is_word_character(inside.back())) inside += ' ';
        while (is_word_character(at(0))) inside += source_[at_++];
      } else {
        if (at(0) == '{') ++braces;
        if (at(0) == '}') --braces;
        inside += source_[at_++];
      }
    }
    const bool minus = at(0) == '-';
    at_ += minus ? 3 : 2;
    if (inside == "raw") fail("has a raw block");
    if (close == "}}") {
      output("{{" + inside + "}}");
    } else {
      out_ += "{%" + inside + "%}";
    }
    after_tag(minus, close == "%}");
  }

  // A string literal at at_, appended to a tag's inside.
  void string(std::string& inside) {
    const char quote = source_[at_++];
    std::string value;
    while (at(0) != quote) {
      if (at_ >= source_.size()) fail("has an open string");
      char c = source_[at_++];
      if (c == '\\') {
        c = at(0);
        ++at_;
        if (c == 'n') {
          c = '\n';
        } else if (c == 't') {
          c = '\t';
        } else if (c == 'r') {
          c = '\r';
        } else if (c != '\\' && c != '\'' && c != '"') {
          fail("has a rare escape in a string");
        }
      }
      value += c;
    }
    ++at_;
    size_t close = at_;
    while (close < source_.size() && is_blank(source_[close])) ++close;
    const bool index = close < source_.size() && source_[close] == ']' && inside.size() > 1 &&
                       inside.back() == '[' && ends_a_value(inside[inside.size() - 2]);
    if (index && !value.empty() && is_word_character(value.front())) {
      inside.back() = '.';
      inside += value;
      at_ = close + 1;
    } else if (inside.size() > 1 && inside.back() == '+' &&
               inside[inside.size() - 2] == kLiteralEnd) {
      inside.resize(inside.size() - 2);
      inside += value + kLiteralEnd;
    } else {
      inside += jinja_literal(value);
    }
  }

  // Appends {{...}}, joined to an output right before it.
  void output(const std::string& part) {
    if (!out_.ends_with("}}")) {
      out_ += part;
      return;
    }
    out_.resize(out_.size() - 2);
    if (out_.back() == kLiteralEnd && part[2] == kLiteralBegin) {
      out_.pop_back();
      out_ += part.substr(3);
    } else {
      out_ += "+" + part.substr(2);
    }
  }

  std::string source_, out_;
  size_t at_ = 0;
  bool strip_next_ = false;  // the tag before ended with a minus
  bool line_start_ = false;  // trim_blocks has just taken a newline
};

}  // namespace

std::string jinja_literal(std::string_view text) {
  return kLiteralBegin + std::string(text) + kLiteralEnd;
}

std::string canonical_jinja(std::string_view source) { return Reader(source).run(); }

}  // namespace kvbench::text
