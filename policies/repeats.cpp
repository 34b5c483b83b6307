#include "policies/repeats.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "kernels/peak_attention/peak_attention_torch.h"
#include "kernels/projected_value_norms/projected_value_norms_torch.h"

namespace kvbench {
namespace {

constexpr const char* kFirst = "\n\nRepeat the previous context exactly.";
constexpr const char* kLater = "\n\nRepeat the part of the previous context exactly, starting with";
constexpr int64_t kReminder = 8;  // tokens before a later chunk, which its request ends with
constexpr int64_t kAboutRequest = 30;

}  // namespace

RepeatRule::RepeatRule(Params& p) {
  p.get("chunk_size", chunk_size, "tokens of the context that are repeated at a time");
  p.get("sinks", sinks, "first tokens: always kept, and attended to by every repeat");
  p.get("keep_head", keep_head,
        "always keep what the chat template wrote before the context; else it goes first, as in "
        "kvpress");
  p.require_range("chunk_size", static_cast<double>(chunk_size), 1, 1 << 20);
  p.require_range("sinks", static_cast<double>(sinks), 0, 1 << 20);
}

std::vector<Repeat> repeats_of(std::span<const int32_t> context, const ContextFrame& frame,
                               int64_t chunk_size, bool fit_first) {
  if (!frame.encode) {
    throw InputError("the context is repeated on a request in words, which needs a tokenizer");
  }
  const std::vector<int32_t> first = frame.encode(kFirst), later = frame.encode(kLater);
  const int64_t n_tokens = std::ssize(context);
  int64_t size = chunk_size;
  if (fit_first) {
    size = std::max<int64_t>(1, chunk_size - std::ssize(first) - std::ssize(frame.tail));
  }
  std::vector<Repeat> repeats;
  for (int64_t begin = frame.n_head; begin < n_tokens; begin = repeats.back().end) {
    Repeat repeat = {begin, std::min(begin + size, n_tokens), repeats.empty() ? first : later};
    const auto append = [&](std::span<const int32_t> ids) {
      repeat.ids.insert(repeat.ids.end(), ids.begin(), ids.end());
    };
    if (!repeats.empty()) {
      const int64_t n = std::min(kReminder, begin - repeats.back().begin);
      append(context.subspan(begin - n, n));
    }
    append(frame.tail);
    append(context.subspan(begin, repeat.end - begin));
    repeats.push_back(std::move(repeat));
    size = chunk_size;
  }
  return repeats;
}

int64_t about_repeated(int64_t n_tokens, int64_t chunk_size) {
  return n_tokens + (n_tokens + chunk_size - 1) / chunk_size * kAboutRequest;
}

at::Tensor repeat_scores(const LayerView& layer, const Repeat& repeat, int64_t sinks,
                         const at::Tensor& hidden) {
  const int64_t n_repeat = repeat.n_tokens(), n_chunk = repeat.end - repeat.begin;
  const at::Tensor chunk = layer.keys.narrow(1, repeat.begin, n_chunk);
  std::optional<at::Tensor> query_weights, key_weights;
  if (hidden.defined()) {
    query_weights = hidden.to(at::kFloat).norm(2, -1).reciprocal();
    key_weights = projected_value_norms(layer.values.narrow(1, repeat.begin, n_chunk),
                                        layer.output_weight, 2);
  }
  return peak_attention(layer.queries, layer.queries,
                        layer.keys.narrow(1, 0, std::min(sinks, repeat.begin)), chunk,
                        layer.keys.narrow(1, layer.n_tokens() - n_repeat, n_repeat),
                        layer.attention_scale, query_weights, key_weights);
}

void raise_first(std::vector<at::Tensor>& scores, const RepeatRule& rule, int64_t n_head) {
  const int64_t n_first =
      std::min(std::max(rule.sinks, rule.keep_head ? n_head : 0), scores.at(0).size(1));
  const at::Tensor top = above(at::stack(scores));
  for (at::Tensor& layer : scores) layer.narrow(1, 0, n_first).copy_(top.expand({1, 1}));
}

}  // namespace kvbench
