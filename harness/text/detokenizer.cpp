#include "harness/text/detokenizer.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "harness/text/byte_level.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

using Tokens = std::vector<std::string>;

void run(const DecodeByteLevel&, Tokens& tokens) {
  std::string bytes;
  for (const auto& token : tokens) append_from_byte_level(token, bytes);
  std::string storage;
  tokens = {std::string(valid_utf8(bytes, storage))};
}

// The byte of a token <0xNN>.
std::optional<char> fallback_byte(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  unsigned int value = 0;
  const char* end = token.data() + 5;
  const auto [stop, error] = std::from_chars(token.data() + 3, end, value, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return static_cast<char>(value);
}

void run(const DecodeByteFallback&, Tokens& tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_valid_utf8(bytes)) {
      out.push_back(bytes);
    } else {
      out.insert(out.end(), bytes.size(), "\xEF\xBF\xBD");
    }
    bytes.clear();
  };
  for (auto& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      bytes += *byte;
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(out);
}

std::string join(const Tokens& tokens, std::string_view between) {
  std::string out;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += between;
    out += tokens[i];
  }
  return out;
}

void run(const DecodeFuse&, Tokens& tokens) { tokens = {join(tokens, "")}; }

void run(const DecodeStrip& step, Tokens& tokens) {
  for (auto& token : tokens) {
    std::string_view rest = token;
    for (size_t i = 0; i < step.start && rest.starts_with(step.content); ++i) {
      rest.remove_prefix(step.content.size());
    }
    for (size_t i = 0; i < step.stop && rest.ends_with(step.content); ++i) {
      rest.remove_suffix(step.content.size());
    }
    token = std::string(rest);
  }
}

void run(const Replace& step, Tokens& tokens) {
  for (auto& token : tokens) token = step.apply(token);
}

void run(const Metaspace& step, Tokens& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    // The marks of the first token stand for what encoding prepended.
    const bool drop = i == 0 && step.prepend != Metaspace::Prepend::kNever;
    std::string out;
    for (size_t at = 0; at < tokens[i].size();) {
      if (tokens[i].compare(at, step.replacement.size(), step.replacement) == 0) {
        if (!drop) out += ' ';
        at += step.replacement.size();
      } else {
        out += tokens[i][at++];
      }
    }
    tokens[i] = std::move(out);
  }
}

}  // namespace

Decoder::Decoder(const JsonView& part) : present_(true) { add(part, 0); }

void Decoder::add(const JsonView& part, int depth) {
  const std::string& type = part.at("type").text();
  if (type == "Sequence") {
    if (depth >= kMaxSequenceDepth) part.fail("expected less deeply nested Sequences");
    const JsonView list = part.at("decoders");
    for (size_t i = 0; i < list.size(); ++i) add(list[i], depth + 1);
  } else if (type == "ByteLevel") {
    steps_.emplace_back(DecodeByteLevel{});
  } else if (type == "ByteFallback") {
    steps_.emplace_back(DecodeByteFallback{});
  } else if (type == "Fuse") {
    steps_.emplace_back(DecodeFuse{});
  } else if (type == "Strip") {
    constexpr int64_t kMaxStrip = 1'000'000;
    DecodeStrip strip{part.at("content").text(),
                      static_cast<size_t>(part.at("start").integer(0, kMaxStrip)),
                      static_cast<size_t>(part.at("stop").integer(0, kMaxStrip))};
    if (count_code_points(strip.content) != 1) part.at("content").fail("expected one character");
    steps_.emplace_back(std::move(strip));
  } else if (type == "Replace") {
    steps_.emplace_back(Replace::parse(part));
  } else if (type == "Metaspace") {
    steps_.emplace_back(Metaspace::parse(part));
  } else {
    part.fail(
        fmt::format("decoder type \"{}\" is not supported; expected Sequence, ByteLevel, "
                    "ByteFallback, Fuse, Strip, Replace or Metaspace",
                    type));
  }
}

std::string Decoder::apply(std::vector<std::string> tokens) const {
  if (!present_) return join(tokens, " ");
  for (const auto& step : steps_) {
    std::visit([&](const auto& s) { run(s, tokens); }, step);
  }
  return join(tokens, "");
}

}  // namespace kvbench::text
