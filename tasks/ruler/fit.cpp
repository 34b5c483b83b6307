#include "tasks/ruler/fit.h"

#include <algorithm>

#include "harness/base/error.h"

namespace kvbench::ruler {
namespace {

// Draws of the smallest size before giving up. One more could still fit by luck of its keys, but
// then nearly no sample of such a task would.
constexpr int kSmallestDraws = 100;

int64_t probe_tokens(const FitRule& rule, int64_t size, const Drawer& draw,
                     const TokenCounter& count_tokens) {
  const std::optional<Draw> probe = draw(size);
  if (!probe) {
    throw_input_error("{}: {} units of haystack cannot hold what its parameters hide in them",
                      rule.task, size);
  }
  return count_tokens(probe->prompt);
}

}  // namespace

int64_t fit_size(const FitRule& rule, const Drawer& draw, const TokenCounter& count_tokens,
                 int64_t extra_tokens) {
  const int64_t probe = std::min(rule.probe == 0 ? rule.step : rule.probe, rule.most);
  const double tokens_per_unit =
      static_cast<double>(probe_tokens(rule, probe, draw, count_tokens)) /
      static_cast<double>(probe);
  KVB_CHECK(tokens_per_unit > 0, "{}: the tokenizer made no tokens of a prompt", rule.task);
  int64_t low = rule.step;
  int64_t high = std::min(
      std::max(rule.bound(static_cast<double>(rule.max_length) / tokens_per_unit), 2 * rule.step),
      rule.most);
  int64_t fitted = rule.step;
  while (low <= high) {
    const int64_t middle = (low + high) / 2;
    if (probe_tokens(rule, middle, draw, count_tokens) + extra_tokens <= rule.max_length) {
      fitted = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  return fitted;
}

FittedDraw fit_draw(const FitRule& rule, int64_t size, const Drawer& draw,
                    const TokenCounter& count_tokens, int64_t tokens_to_generate) {
  std::optional<int64_t> shortest;
  for (int left = kSmallestDraws; left > 0;) {
    if (std::optional<Draw> sample = draw(size)) {
      const int64_t length = count_tokens(sample->prompt) + tokens_to_generate;
      if (length <= rule.max_length) return {std::move(*sample), length};
      shortest = std::min(shortest.value_or(length), length);
    }
    if (size > rule.step) {
      size -= rule.step;
    } else {
      --left;
    }
  }
  if (!shortest) {
    throw_input_error("{}: {} units of haystack cannot hold what its parameters hide in them",
                      rule.task, size);
  }
  throw_too_short(rule.task, rule.max_length, *shortest, tokens_to_generate);
}

void throw_too_short(const std::string& task, int64_t max_length, int64_t shortest,
                     int64_t tokens_to_generate) {
  throw_input_error(
      "{}: length {} is too small: the shortest sample drawn needs {} tokens, {} of them for the "
      "answer",
      task, max_length, shortest, tokens_to_generate);
}

}  // namespace kvbench::ruler
