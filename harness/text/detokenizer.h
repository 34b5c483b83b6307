// The `decoder` of a tokenizer.json: from token texts back to text. ByteLevel, Replace,
// ByteFallback, Fuse, Strip, Metaspace and Sequences of them.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "harness/base/json_view.h"
#include "harness/text/normalizer.h"
#include "harness/text/pretokenizer.h"

namespace kvbench::text {

struct DecodeByteLevel {};

// Runs of <0xNN> become the text of those bytes, or one U+FFFD for each when they are no UTF-8.
struct DecodeByteFallback {};

struct DecodeFuse {};

// Up to `start` and `stop` characters `content` off the ends of every token.
struct DecodeStrip {
  std::string content;  // one character
  size_t start, stop;
};

class Decoder {
 public:
  Decoder() = default;  // tokens joined with blanks
  explicit Decoder(const JsonView& part);

  // Texts are valid UTF-8. Thread-safe.
  std::string apply(std::vector<std::string> tokens) const;

 private:
  void add(const JsonView& part, int depth);

  using Step = std::variant<DecodeByteLevel, DecodeByteFallback, DecodeFuse, DecodeStrip, Replace,
                            Metaspace>;
  std::vector<Step> steps_;
  bool present_ = false;
};

}  // namespace kvbench::text
