#include "harness/runner/generate.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/runner/stopwatch.h"

namespace kvbench {
namespace {

// The most likely id of each sequence; of equal logits the lowest id (torch's argmax leaves that
// open).
std::vector<int64_t> greedy(const at::Tensor& logits) {
  const at::Tensor host = logits.to(at::kCPU).contiguous();
  const int64_t vocab = host.size(1);
  const auto* row = host.const_data_ptr<float>();
  std::vector<int64_t> ids;
  for (int64_t s = 0; s < host.size(0); ++s, row += vocab) {
    ids.push_back(std::max_element(row, row + vocab) - row);  // the first of equal maxima
    KVB_CHECK(row[ids.back()] == row[ids.back()], "the logits of a step are NaN");
  }
  return ids;
}

}  // namespace

void check_prompt(const std::string& place, const ModelConfig& model,
                  const std::vector<int32_t>& context, const std::vector<int32_t>& question,
                  int64_t max_new_tokens) {
  const auto n_tokens = static_cast<int64_t>(context.size() + question.size()) + max_new_tokens;
  if (n_tokens > model.max_positions) {
    throw_input_error(
        "{}: {} tokens (context {}, question {}, answer up to {}) are more than the model's {} "
        "positions",
        place, n_tokens, context.size(), question.size(), max_new_tokens, model.max_positions);
  }
  for (const auto* ids : {&context, &question}) {
    for (const auto id : *ids) {
      if (id >= 0 && id < model.vocab_size) continue;
      throw_input_error("{}: token id {} is outside the model's vocabulary of {}", place, id,
                        model.vocab_size);
    }
  }
}

std::vector<Generation> generate(const Decoder& model, const std::vector<KvCache*>& caches,
                                 const std::vector<int32_t>& question,
                                 const at::Tensor& context_logits, const GenerateOptions& options) {
  const c10::InferenceMode no_autograd;
  std::vector<Generation> results(caches.size());
  if (caches.empty() || options.max_new_tokens <= 0) return results;
  const Stopwatch watch(model.device());

  std::vector<size_t> active(caches.size());  // which result each row of the batch belongs to
  for (size_t i = 0; i < active.size(); ++i) active[i] = i;
  auto batch = std::make_unique<DecodeBatch>(caches);
  at::Tensor logits;
  if (question.empty()) {
    logits = context_logits.unsqueeze(0).expand({batch->size(), -1});
  } else {
    const at::Tensor ids =
        at::tensor(std::vector<int64_t>(question.begin(), question.end()), at::kLong);
    logits = model.extend(ids.unsqueeze(0).expand({batch->size(), -1}), *batch);
  }
  while (true) {
    const std::vector<int64_t> ids = greedy(logits);
    const double now_ms = watch.ms();
    std::vector<int64_t> next;
    std::vector<size_t> still;
    for (size_t row = 0; row < active.size(); ++row) {
      Generation& result = results[active[row]];
      const bool may_stop = !result.tokens.empty();
      result.tokens.push_back(static_cast<int32_t>(ids[row]));
      result.token_ms.push_back(now_ms);
      const bool ended = may_stop && std::find(options.end_tokens.begin(), options.end_tokens.end(),
                                               ids[row]) != options.end_tokens.end();
      if (!ended && static_cast<int64_t>(result.tokens.size()) < options.max_new_tokens) {
        still.push_back(active[row]);
        next.push_back(ids[row]);
      }
    }
    if (still.empty()) return results;
    if (still.size() < active.size()) {
      std::vector<KvCache*> remaining;
      for (const auto i : still) remaining.push_back(caches[i]);
      batch = std::make_unique<DecodeBatch>(remaining);
      active = still;
    }
    logits = model.extend(at::tensor(next, at::kLong).unsqueeze(1), *batch);
  }
}

}  // namespace kvbench
