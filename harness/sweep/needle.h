// Where the tokens lie that an answer is made of, and which share of them a policy kept: columns of
// /samples.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "harness/model/prompt.h"

namespace kvbench {

// Tokens begin to end - 1 of a context.
struct TokenSpan {
  int64_t begin = 0, end = 0;
};

// The tokens that any character of each piece is in, as long as the prompt's context has it whole;
// of a piece that is there twice the first.
std::vector<TokenSpan> spans_of(const Tokenizer& tokenizer, const Prompt& prompt,
                                const std::vector<std::string>& pieces);

// "[[12,20],[31,40]]"; "" = no spans.
std::string spans_text(const std::vector<TokenSpan>& spans);

// The tokens of all spans, ascending, each once.
std::vector<int64_t> tokens_of(const std::vector<TokenSpan>& spans);

// Of each layer and head, layer-major, the share of `tokens` that it kept as a byte in hex, ff =
// all of them. `kept` uint8 [L, H, watched] (CompressedCache::kept_watched), `watched` ascending
// with all of `tokens` among them. "" when nothing was watched.
std::string share_text(const at::Tensor& kept, const std::vector<int64_t>& watched,
                       const std::vector<int64_t>& tokens);

// The end of what the model read, whole characters, at most 256 bytes.
std::string tail_of(const Prompt& prompt);

}  // namespace kvbench
