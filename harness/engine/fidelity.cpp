#include "harness/engine/fidelity.h"

#include <ATen/ATen.h>

#include <stdexcept>

namespace kvbench {
namespace {

// int64 [1, n]
at::Tensor ids_of(std::vector<int32_t>::const_iterator begin,
                  std::vector<int32_t>::const_iterator end) {
  return at::tensor(std::vector<int64_t>(begin, end), at::kLong).unsqueeze(0);
}

// What is evicted depends on every step, so the tokens go in one by one, into a copy.
at::Tensor forced_step_by_step(const Decoder& model, const GrowingCache& cut,
                               const std::vector<int32_t>& question,
                               const std::vector<int32_t>& continuation) {
  KvCache cache = cut.cache->clone();
  Eviction eviction = *cut.eviction;
  const std::vector<GrowingCache> growing = {{&cache, {}, &eviction}};
  DecodeBatch batch({&cache});
  std::vector<at::Tensor> logits;
  std::vector<std::string> errors;
  const auto feed = [&](const at::Tensor& ids) {
    logits.push_back(extend_and_evict(model, ids, batch, growing, errors));
    if (!errors[0].empty()) throw std::runtime_error(errors[0]);
  };
  if (question.empty()) {
    logits.push_back(cut.context_logits.unsqueeze(0));
  } else {
    feed(ids_of(question.begin(), question.end()));
  }
  for (auto token = continuation.begin(); token + 1 < continuation.end(); ++token) {
    feed(ids_of(token, token + 1));
  }
  return at::cat(logits).log_softmax(-1);
}

}  // namespace

at::Tensor forced_log_probs(const Decoder& model, const GrowingCache& cut,
                            const std::vector<int32_t>& question,
                            const std::vector<int32_t>& continuation) {
  const c10::InferenceMode no_autograd;
  if (cut.eviction != nullptr) return forced_step_by_step(model, cut, question, continuation);
  DecodeBatch batch({cut.cache});
  std::vector<at::Tensor> logits = {
      question.empty() ? cut.context_logits.unsqueeze(0)
                       : model.extend(ids_of(question.begin(), question.end()), batch)};
  if (continuation.size() > 1) {
    const at::Tensor fed = ids_of(continuation.begin(), continuation.end() - 1);
    logits.push_back(model.extend(fed, batch, Decoder::Logits::kAll).squeeze(0));
  }
  cut.cache->rewind();
  return at::cat(logits).log_softmax(-1);
}

Fidelity compare(const at::Tensor& full_log_probs, const at::Tensor& cut_log_probs) {
  const c10::InferenceMode no_autograd;
  const at::Tensor kl =
      (full_log_probs.exp() * (full_log_probs - cut_log_probs)).sum(-1, false, at::kDouble);
  const at::Tensor same = full_log_probs.argmax(-1).eq(cut_log_probs.argmax(-1));
  return {kl.mean().item<double>(), same.to(at::kDouble).mean().item<double>()};
}

}  // namespace kvbench
