#include "harness/engine/fidelity.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "harness/base/error.h"
#include "harness/engine/next_token.h"

namespace kvbench {
namespace {

// What is evicted depends on every step, so the tokens go in one by one, into a copy.
at::Tensor forced_step_by_step(const Decoder& model, const GrowingCache& cut,
                               const std::vector<int32_t>& question,
                               const std::vector<int32_t>& continuation) {
  KvCache cache = cut.cache->clone();
  Eviction eviction = *cut.eviction;
  std::vector<at::Tensor> logits;
  const auto forced = [&](int64_t step, const std::vector<size_t>&, const at::Tensor& of_step) {
    logits.push_back(of_step);
    std::vector<std::optional<int64_t>> token(1);
    if (step + 1 < std::ssize(continuation)) token[0] = continuation[static_cast<size_t>(step)];
    return token;
  };
  std::vector<std::string> errors;
  decode(model, {{&cache, cut.context_logits, &eviction}}, question, forced, errors);
  if (!errors[0].empty()) throw std::runtime_error(errors[0]);
  return at::cat(logits).log_softmax(-1);
}

}  // namespace

at::Tensor forced_log_probs(const Decoder& model, const GrowingCache& cut,
                            const std::vector<int32_t>& question,
                            const std::vector<int32_t>& continuation) {
  const c10::InferenceMode no_autograd;
  if (cut.eviction != nullptr) return forced_step_by_step(model, cut, question, continuation);
  DecodeBatch batch({cut.cache});
  std::vector<at::Tensor> logits = {question.empty() ? cut.context_logits.unsqueeze(0)
                                                     : model.extend(token_ids(question), batch)};
  if (continuation.size() > 1) {
    const at::Tensor fed = token_ids({continuation.data(), continuation.size() - 1});
    logits.push_back(model.extend(fed, batch, Decoder::Logits::kAll).squeeze(0));
  }
  cut.cache->rewind();
  return at::cat(logits).log_softmax(-1);
}

double mean_nll(const Decoder& model, const GrowingCache& full,
                const std::vector<int32_t>& question, const std::vector<int32_t>& continuation) {
  KVB_CHECK(full.eviction == nullptr && !continuation.empty(), "{} tokens to go along",
            continuation.size());
  const c10::InferenceMode no_autograd;
  constexpr size_t kBlock = 128;
  double sum = 0;
  {
    DecodeBatch batch({full.cache});
    at::Tensor logits = question.empty() ? full.context_logits.unsqueeze(0)
                                         : model.extend(token_ids(question), batch);
    const std::vector<int64_t> said(continuation.begin(), continuation.end());
    for (size_t first = 0, n = 1; first < said.size();) {
      const at::Tensor next =
          at::tensor(at::IntArrayRef(said).slice(first, n)).to(logits.device()).unsqueeze(1);
      sum -= logits.log_softmax(-1, at::kDouble).gather(1, next).sum().item<double>();
      const size_t fed = first + n - 1;  // its successors are told by the next block
      first += n;
      n = std::min(kBlock, said.size() - first);
      if (n == 0) break;
      logits = model.extend(token_ids({continuation.data() + fed, n}), batch, Decoder::Logits::kAll)
                   .squeeze(0);
    }
  }
  full.cache->rewind();
  return sum / static_cast<double>(continuation.size());
}

Fidelity compare(const at::Tensor& full_log_probs, const at::Tensor& cut_log_probs) {
  const c10::InferenceMode no_autograd;
  const at::Tensor kl =
      (full_log_probs.exp() * (full_log_probs - cut_log_probs)).sum(-1, false, at::kDouble);
  const auto of_full = most_likely(full_log_probs), of_cut = most_likely(cut_log_probs);
  double n_same = 0;
  for (size_t i = 0; i < of_full.size(); ++i) n_same += of_full[i] && of_full[i] == of_cut[i];
  return {kl.mean().item<double>(), n_same / static_cast<double>(of_full.size())};
}

}  // namespace kvbench
