#include "harness/fuzz/mutator.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <utility>

namespace kvbench::fuzz {
namespace {

template <class T>
const T& pick(const std::vector<T>& from, Random& random) {
  return from[random.below(from.size())];
}

// ---- bytes --------------------------------------------------------------------------------------
// A place in `bytes` (not empty), rather one that is not zero: files are mostly padding and data.
size_t pick_place(const std::string& bytes, Random& random) {
  size_t at = random.below(bytes.size());
  for (int i = 0; i < 8 && bytes[at] == 0; ++i) at = random.below(bytes.size());
  return at;
}

// A range that is mostly short.
std::pair<size_t, size_t> pick_range(const std::string& bytes, Random& random) {
  const size_t at = pick_place(bytes, random);
  const size_t most = random.below(8) == 0 ? bytes.size() : 64;
  return {at, std::min<size_t>(1 + random.below(most), bytes.size() - at)};
}

void write_extreme(std::string& bytes, Random& random) {
  static const std::vector<uint64_t> kExtremes = {0,
                                                  1,
                                                  0x7f,
                                                  0xff,
                                                  0x7fff,
                                                  0xffff,
                                                  0x7fffffff,
                                                  0x80000000,
                                                  0xffffffff,
                                                  0x7fffffffffffffff,
                                                  0x8000000000000000,
                                                  0xffffffffffffffff,
                                                  0x7e37e43c8800759c};  // 1e300
  const uint64_t value = pick(kExtremes, random);
  const size_t at = pick_place(bytes, random);
  const size_t size = std::min<size_t>(size_t{1} << random.below(4), bytes.size() - at);
  for (size_t i = 0; i < size; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

void damage_bytes(std::string& bytes, const std::vector<std::string>& files, Random& random) {
  if (bytes.empty()) bytes.push_back('\0');
  switch (random.below(9)) {
    case 0:
    case 1:
      bytes[pick_place(bytes, random)] ^= static_cast<char>(1U << random.below(8));
      return;
    case 2:
      bytes[pick_place(bytes, random)] = static_cast<char>(random.below(256));
      return;
    case 3:
    case 4:
      return write_extreme(bytes, random);
    case 5: {
      const auto [at, size] = pick_range(bytes, random);
      bytes.erase(at, size);
      return;
    }
    case 6: {
      const auto [at, size] = pick_range(bytes, random);
      bytes.insert(pick_place(bytes, random), bytes.substr(at, size));
      return;
    }
    case 7: {
      const std::string& other = pick(files, random);
      if (other.empty()) return;
      const auto [from, size] = pick_range(other, random);
      const size_t at = pick_place(bytes, random);
      bytes.replace(at, std::min(size, bytes.size() - at), other, from, size);
      return;
    }
    default:
      bytes.resize(random.below(bytes.size()));
  }
}

// ---- text ---------------------------------------------------------------------------------------
struct Token {
  size_t at, size;
};

// Quoted texts and words of JSON, YAML and Python's literals; what stands between them is no token.
std::vector<Token> tokens_of(const std::string& text) {
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-' ||
           c == '+';
  };
  std::vector<Token> tokens;
  for (size_t at = 0; at < text.size();) {
    size_t end = at + 1;
    if (text[at] == '"' || text[at] == '\'') {
      while (end < text.size() && text[end] != text[at]) end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (is_word(text[at])) {
      while (end < text.size() && is_word(text[end])) ++end;
    } else {
      ++at;
      continue;
    }
    tokens.push_back({at, end - at});
    at = end;
  }
  return tokens;
}

std::string repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::string extreme_value(Random& random) {
  static const std::vector<std::string> kValues = {"-1",
                                                   "0",
                                                   "1",
                                                   "2",
                                                   "-0.0",
                                                   "0.5",
                                                   "1.5",
                                                   "255",
                                                   "65536",
                                                   "2147483647",
                                                   "2147483648",
                                                   "4294967296",
                                                   "9223372036854775807",
                                                   "9223372036854775808",
                                                   "-9223372036854775808",
                                                   "18446744073709551615",
                                                   "18446744073709551616",
                                                   "1e300",
                                                   "-1e300",
                                                   "1e-300",
                                                   "1e999",
                                                   "NaN",
                                                   "Infinity",
                                                   "true",
                                                   "false",
                                                   "null",
                                                   R"("")",
                                                   R"("x")",
                                                   R"("\u0000")",
                                                   R"("\ud800")",
                                                   R"("\uffff")",
                                                   "\"\xff\xfe\"",
                                                   R"("../../x")",
                                                   R"("(((((a*)*)*)*)*b")",
                                                   R"("[")",
                                                   "[]",
                                                   "{}",
                                                   "[[]]",
                                                   "[null]",
                                                   R"({"a": 1})",
                                                   R"({"": ""})",
                                                   R"([1, "a", {}])",
                                                   "~",
                                                   "",
                                                   ",",
                                                   ":"};
  switch (random.below(12)) {
    case 0:
      return "\"" + std::string(size_t{1} << (8 + random.below(11)), 'a') + "\"";
    case 1:
      return "[0" + repeated(", 7", size_t{1} << (4 + random.below(12))) + "]";
    case 2: {
      const size_t depth = size_t{1} << (4 + random.below(12));
      return repeated("[", depth) + repeated("]", depth);
    }
    default:
      return pick(kValues, random);
  }
}

void double_line(std::string& text, Random& random) {
  const size_t at = random.below(text.size() + 1);
  const size_t before = text.rfind('\n', at == 0 ? 0 : at - 1);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  const size_t end = std::min(text.find('\n', begin), text.size());
  text.insert(begin, text.substr(begin, end - begin) + "\n");
}

void damage_text(std::string& text, const std::vector<std::string>& files, Random& random) {
  const std::vector<Token> tokens = tokens_of(text);
  if (tokens.empty()) return damage_bytes(text, files, random);
  const Token token = pick(tokens, random);
  switch (random.below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      text.replace(token.at, token.size, extreme_value(random));
      return;
    case 4:
      text.erase(token.at, token.size);
      return;
    case 5: {  // values change places
      const Token other = pick(tokens, random);
      const std::string value = text.substr(other.at, other.size);
      text.replace(token.at, token.size, value);
      return;
    }
    case 6: {  // the key, or whatever it is, with another value
      const std::string key = text.substr(token.at, token.size);
      text.insert(token.at, key + ": " + extreme_value(random) + ", ");
      return;
    }
    case 7: {  // a piece of several tokens once more
      const Token last = tokens[std::min(
          tokens.size() - 1, static_cast<size_t>(&pick(tokens, random) - tokens.data()))];
      const size_t begin = std::min(token.at, last.at);
      const size_t end = std::max(token.at + token.size, last.at + last.size);
      const std::string piece = text.substr(begin, std::min<size_t>(end - begin, 2000));
      text.insert(pick(tokens, random).at, piece + ", ");
      return;
    }
    case 8:
      return double_line(text, random);
    default:
      return damage_bytes(text, files, random);
  }
}

uint64_t read_length(const std::string& bytes, const Form& form) {
  uint64_t length = 0;
  for (size_t i = 0; i < form.length_bytes; ++i) {
    length |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[form.length_at + i])) << (8 * i);
  }
  return length;
}

}  // namespace

std::string mutate(const std::vector<std::string>& files, const Form& form, Random& random) {
  std::string bytes = pick(files, random);
  const uint64_t n_changes = 1 + random.below(4);
  const size_t start = form.length_at + form.length_bytes;
  if (form.length_bytes > 0 && random.below(2) == 0 && bytes.size() >= start) {
    const size_t length = std::min<size_t>(read_length(bytes, form), bytes.size() - start);
    std::string text = bytes.substr(start, length);
    for (uint64_t i = 0; i < n_changes; ++i) damage_text(text, {text}, random);
    bytes.replace(start, length, text);
    for (size_t i = 0; i < form.length_bytes; ++i) {
      bytes[form.length_at + i] = static_cast<char>(text.size() >> (8 * i));
    }
    return bytes;
  }
  for (uint64_t i = 0; i < n_changes; ++i) {
    if (form.text) {
      damage_text(bytes, files, random);
    } else {
      damage_bytes(bytes, files, random);
    }
  }
  return bytes;
}

}  // namespace kvbench::fuzz
