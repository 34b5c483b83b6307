#include "harness/text/normalizer.h"

#include <fmt/format.h>
#include <unicode/bytestream.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <memory>

#include "harness/base/error.h"
#include "harness/text/unicode.h"

namespace kvbench::text {
namespace {

// The library's normalization tables are those of Unicode 9: characters that came later are left
// alone and keep others apart (equal to it for every code point, newer tables differ for 59).
struct Normalization {
  Normalization(const char* name, UNormalization2Mode mode) {
    UErrorCode status = U_ZERO_ERROR;
    newest = icu::Normalizer2::getInstance(nullptr, name, mode, status);
    known = std::make_unique<icu::UnicodeSet>(icu::UnicodeString::fromUTF8("[:age=9.0:]"), status);
    KVB_CHECK(U_SUCCESS(status), "ICU has no normalization data: {}", u_errorName(status));
    known->freeze();
    filtered = std::make_unique<icu::FilteredNormalizer2>(*newest, *known);
  }

  const icu::Normalizer2* newest = nullptr;
  std::unique_ptr<icu::UnicodeSet> known;
  std::unique_ptr<icu::FilteredNormalizer2> filtered;
};

const Normalization& normalization(NormalForm form) {
  static const Normalization nfc("nfc", UNORM2_COMPOSE);
  static const Normalization nfd("nfc", UNORM2_DECOMPOSE);
  static const Normalization nfkc("nfkc", UNORM2_COMPOSE);
  static const Normalization nfkd("nfkc", UNORM2_DECOMPOSE);
  switch (form) {
    case NormalForm::kNfc:
      return nfc;
    case NormalForm::kNfd:
      return nfd;
    case NormalForm::kNfkc:
      return nfkc;
    case NormalForm::kNfkd:
      break;
  }
  return nfkd;
}

std::string run(NormalForm form, std::string text) {
  // No form changes ASCII.
  const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), ascii)) return text;
  const Normalization& n = normalization(form);
  UErrorCode status = U_ZERO_ERROR;
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  // Normal under the newest tables is normal under older ones; this test needs no UTF-16.
  if (n.newest->isNormalizedUTF8(piece, status) && U_SUCCESS(status)) return text;
  status = U_ZERO_ERROR;
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  n.filtered->normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) {
    throw_input_error("a text of {} bytes cannot be normalized: {}", text.size(),
                      u_errorName(status));
  }
  return out;
}

std::string run(const Prepend& step, std::string text) {
  return text.empty() ? text : step.text + text;
}

std::string run(const Replace& step, std::string text) { return step.apply(text); }

std::string run(const StripBlanks& step, std::string text) {
  size_t begin = 0, end = text.size();
  for (size_t i = 0; step.left && i < end && is_white_space(next_code_point(text, i));) begin = i;
  for (size_t i = end; step.right && i > begin && is_white_space(previous_code_point(text, i));) {
    end = i;
  }
  return text.substr(begin, end - begin);
}

std::string run(const Lowercase&, std::string text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    icu::UnicodeString(next_code_point(text, i)).toLower(icu::Locale::getRoot()).toUTF8String(out);
  }
  return out;
}

std::string run(const StripAccents&, std::string text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const UChar32 c = next_code_point(text, i);
    if ((U_GET_GC_MASK(c) & U_GC_M_MASK) == 0) append_utf8(c, out);
  }
  return out;
}

}  // namespace

Regex parse_pattern(const JsonView& part, const std::string& key) {
  const JsonView pattern = part.at(key);
  const std::string where = pattern.file() + ": " + key;
  if (const auto text = pattern.find("String")) return Regex::literal(text->text(), where);
  if (const auto regex = pattern.find("Regex")) return Regex(regex->text(), where);
  pattern.fail("expected {\"String\": ...} or {\"Regex\": ...}");
}

Replace Replace::parse(const JsonView& part) {
  return {parse_pattern(part, "pattern"), part.at("content").text()};
}

std::string Replace::apply(std::string_view text) const {
  std::vector<Regex::Span> spans;
  pattern.find_spans(text, spans);
  std::string out;
  out.reserve(text.size());
  for (const auto& span : spans) {
    out += span.match ? std::string_view(content) : text.substr(span.begin, span.end - span.begin);
  }
  return out;
}

Normalizer::Normalizer(const JsonView& part) { add(part, 0); }

void Normalizer::add(const JsonView& part, int depth) {
  const std::string& type = part.at("type").text();
  if (type == "Sequence") {
    if (depth >= kMaxSequenceDepth) part.fail("expected less deeply nested Sequences");
    const JsonView list = part.at("normalizers");
    for (size_t i = 0; i < list.size(); ++i) add(list[i], depth + 1);
  } else if (type == "NFC") {
    steps_.emplace_back(NormalForm::kNfc);
  } else if (type == "NFD") {
    steps_.emplace_back(NormalForm::kNfd);
  } else if (type == "NFKC") {
    steps_.emplace_back(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    steps_.emplace_back(NormalForm::kNfkd);
  } else if (type == "Prepend") {
    steps_.emplace_back(Prepend{part.at("prepend").text()});
  } else if (type == "Replace") {
    steps_.emplace_back(Replace::parse(part));
  } else if (type == "Strip") {
    steps_.emplace_back(
        StripBlanks{part.at("strip_left").boolean(), part.at("strip_right").boolean()});
  } else if (type == "Lowercase") {
    steps_.emplace_back(Lowercase{});
  } else if (type == "StripAccents") {
    steps_.emplace_back(StripAccents{});
  } else {
    part.fail(
        fmt::format("normalizer type \"{}\" is not supported; expected Sequence, NFC, NFD, "
                    "NFKC, NFKD, Prepend, Replace, Strip, Lowercase or StripAccents",
                    type));
  }
}

std::string Normalizer::apply(std::string text) const {
  for (const auto& step : steps_) {
    text = std::visit([&](const auto& s) { return run(s, std::move(text)); }, step);
  }
  return text;
}

}  // namespace kvbench::text
