#include "harness/runner/fidelity.h"

#include <ATen/ATen.h>

namespace kvbench {
namespace {

// int64 [1, n]
at::Tensor ids_of(std::vector<int32_t>::const_iterator begin,
                  std::vector<int32_t>::const_iterator end) {
  return at::tensor(std::vector<int64_t>(begin, end), at::kLong).unsqueeze(0);
}

}  // namespace

at::Tensor forced_log_probs(const Decoder& model, KvCache& cache,
                            const std::vector<int32_t>& question, const at::Tensor& context_logits,
                            const std::vector<int32_t>& continuation) {
  const c10::InferenceMode no_autograd;
  DecodeBatch batch({&cache});
  std::vector<at::Tensor> logits = {
      question.empty() ? context_logits.unsqueeze(0)
                       : model.extend(ids_of(question.begin(), question.end()), batch)};
  if (continuation.size() > 1) {
    const at::Tensor fed = ids_of(continuation.begin(), continuation.end() - 1);
    logits.push_back(model.extend(fed, batch, Decoder::Logits::kAll).squeeze(0));
  }
  cache.rewind();
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
