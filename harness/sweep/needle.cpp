#include "harness/sweep/needle.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "harness/base/text.h"

namespace kvbench {
namespace {

// Tokens that both begin with.
int64_t common(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  const auto n = static_cast<int64_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), a.begin() + n, b.begin()).first - a.begin();
}

}  // namespace

std::vector<TokenSpan> spans_of(const Tokenizer& tokenizer, const Prompt& prompt,
                                const std::vector<std::string>& pieces) {
  const std::string_view text = prompt.context_text;
  const auto n_tokens = std::ssize(prompt.context);
  std::vector<TokenSpan> spans;
  for (const std::string& piece : pieces) {
    const size_t at = text.find(piece);
    if (at == text.npos) continue;
    // A token may hold the end of what stands before the piece, or the beginning of what follows.
    const auto before = tokenizer.encode(text.substr(0, at));
    const auto with = tokenizer.encode(text.substr(0, at + piece.size()));
    const int64_t begin = common(before, prompt.context), end = common(with, prompt.context);
    const TokenSpan span{begin, end < std::ssize(with) ? end + 1 : end};
    if (span.begin < span.end && span.end <= n_tokens) spans.push_back(span);
  }
  return spans;
}

std::string spans_text(const std::vector<TokenSpan>& spans) {
  std::vector<std::string> texts;
  for (const auto& [begin, end] : spans) texts.push_back(fmt::format("[{},{}]", begin, end));
  return texts.empty() ? "" : fmt::format("[{}]", fmt::join(texts, ","));
}

std::vector<int64_t> tokens_of(const std::vector<TokenSpan>& spans) {
  std::set<int64_t> tokens;
  for (const auto& [begin, end] : spans) {
    for (int64_t token = begin; token < end; ++token) tokens.insert(token);
  }
  return {tokens.begin(), tokens.end()};
}

std::string share_text(const at::Tensor& kept, const std::vector<int64_t>& watched,
                       const std::vector<int64_t>& tokens) {
  if (!kept.defined() || tokens.empty()) return "";
  std::vector<int64_t> columns;
  for (const int64_t token : tokens) {
    columns.push_back(std::lower_bound(watched.begin(), watched.end(), token) - watched.begin());
  }
  const at::Tensor counts = kept.index_select(2, at::tensor(columns, at::kLong))
                                .sum(2, /*keepdim=*/false, at::kLong)
                                .flatten();
  std::string text;
  const auto n_tokens = std::ssize(tokens);
  for (int64_t i = 0; i < counts.numel(); ++i) {
    constexpr int64_t kAll = 255;
    const int64_t count = counts.const_data_ptr<int64_t>()[i];
    text += fmt::format("{:02x}", (kAll * count + n_tokens / 2) / n_tokens);
  }
  return text;
}

std::string tail_of(const Prompt& prompt) {
  constexpr size_t kMost = 256;
  const std::string text = prompt.context_text + prompt.question_text;
  return text.substr(cut_behind(text, text.size() - std::min(text.size(), kMost)));
}

}  // namespace kvbench
