#include "tasks/text.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "harness/base/error.h"

namespace kvbench {

bool is_python_space(int32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

namespace {

std::u32string code_points_of(const icu::UnicodeString& text) {
  std::u32string out;
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    out += static_cast<char32_t>(text.char32At(i));
  }
  return out;
}

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

}  // namespace

std::u32string code_points(std::string_view text) { return code_points_of(from_utf8(text)); }

std::string to_utf8(std::u32string_view text) {
  std::string out;
  icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                static_cast<int32_t>(text.size()))
      .toUTF8String(out);
  return out;
}

std::u32string python_lower(std::string_view text) {
  return code_points_of(from_utf8(text).toLower(icu::Locale::getRoot()));
}

std::u32string_view strip_spaces(std::u32string_view text) {
  const auto is_space = [](char32_t c) { return is_python_space(static_cast<int32_t>(c)); };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::u32string> split_at_spaces(std::u32string_view text) {
  std::vector<std::u32string> parts;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && !is_python_space(static_cast<int32_t>(text[i]))) continue;
    if (i > begin) parts.emplace_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  return parts;
}

std::string strip_start(std::string_view text) {
  const auto size = static_cast<int64_t>(text.size());
  int64_t begin = 0;
  for (int64_t i = 0; i < size; begin = i) {
    UChar32 c;
    U8_NEXT(text.data(), i, size, c);
    if (!is_python_space(c)) break;
  }
  return std::string(text.substr(static_cast<size_t>(begin)));
}

std::string strip_end(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!strip_start(text.substr(begin, end - begin)).empty()) break;
    end = begin;
  }
  return std::string(text.substr(0, end));
}

std::string collapse_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto size = static_cast<int64_t>(text.size());
  bool in_space = false;
  for (int64_t i = 0; i < size;) {
    const int64_t begin = i;
    UChar32 c;
    U8_NEXT(text.data(), i, size, c);
    if (is_python_space(c)) {
      if (!in_space) out += ' ';
      in_space = true;
    } else {
      out.append(text.substr(begin, i - begin));
      in_space = false;
    }
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  KVB_CHECK(!from.empty(), "nothing to look for");
  std::string out;
  size_t begin = 0;
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, begin)) {
    out.append(text.substr(begin, at - begin)).append(to);
    begin = at + from.size();
  }
  return out.append(text.substr(begin));
}

std::string fill_template(
    std::string_view text,
    const std::vector<std::pair<std::string_view, std::string_view>>& values) {
  std::string out;
  size_t begin = 0;
  for (size_t open = text.find('{'); open != text.npos; open = text.find('{', begin)) {
    const size_t close = text.find('}', open);
    KVB_CHECK(close != text.npos, "a brace of the template is not closed");
    const auto name = text.substr(open + 1, close - open - 1);
    const auto value = std::find_if(values.begin(), values.end(),
                                    [&](const auto& pair) { return pair.first == name; });
    KVB_CHECK(value != values.end(), "no value for {{{}}}", name);
    out.append(text.substr(begin, open - begin)).append(value->second);
    begin = close + 1;
  }
  return out.append(text.substr(begin));
}

void sort_distinct(std::vector<std::string>& texts) {
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) out.append(separator);
    out.append(parts[i]);
  }
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, char separator) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find(separator);
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace kvbench
