#include "harness/engine/decode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "harness/base/error.h"
#include "kernels/common/host_torch.h"

namespace kvbench {

at::Tensor pass_and_evict(const Pass& pass, DecodeBatch& batch,
                          const std::vector<GrowingCache>& caches, std::vector<std::string>& errors,
                          const Decoder::StepObserver& observer) {
  errors.assign(caches.size(), "");
  const bool any = std::any_of(caches.begin(), caches.end(),
                               [](const GrowingCache& c) { return c.eviction != nullptr; });
  if (!any) return pass(observer);
  const auto observe = [&](int64_t layer, const at::Tensor& queries, const at::Tensor& hidden) {
    for (size_t i = 0; i < caches.size(); ++i) {
      if (caches[i].eviction == nullptr) continue;
      const auto s = static_cast<int64_t>(i);
      caches[i].eviction->observe(layer, queries.select(0, s), hidden.select(0, s));
    }
    if (observer) observer(layer, queries, hidden);
  };
  at::Tensor logits = pass(observe);
  for (size_t s = 0; s < caches.size(); ++s) {
    if (caches[s].eviction == nullptr) continue;
    try {
      if (caches[s].eviction->end_step(*caches[s].cache)) batch.expire();
    } catch (...) {
      errors[s] = current_error();
    }
  }
  return logits;
}

at::Tensor extend_and_evict(const Decoder& model, const at::Tensor& tokens, DecodeBatch& batch,
                            const std::vector<GrowingCache>& caches,
                            std::vector<std::string>& errors,
                            const Decoder::StepObserver& observer) {
  const auto extend = [&](const Decoder::StepObserver& told) {
    return model.extend(tokens, batch, Decoder::Logits::kLast, told);
  };
  return pass_and_evict(extend, batch, caches, errors, observer);
}

void decode(const Decoder& model, const std::vector<GrowingCache>& caches,
            const std::vector<int32_t>& question, const NextTokens& next,
            std::vector<std::string>& errors, const Decoder::StepObserver& observer) {
  const c10::InferenceMode no_autograd;
  errors.assign(caches.size(), "");
  if (caches.empty()) return;
  std::vector<size_t> running(caches.size());  // which cache each row of the batch is
  std::iota(running.begin(), running.end(), size_t{0});
  std::vector<GrowingCache> batched;
  std::optional<DecodeBatch> batch;
  const auto make_batch = [&] {
    batched.clear();
    std::vector<KvCache*> of_batch;
    for (const size_t i : running) {
      batched.push_back(caches[i]);
      of_batch.push_back(caches[i].cache);
    }
    batch.emplace(of_batch);
  };
  make_batch();
  std::vector<std::string> of_pass;
  // Passes the tokens and leaves out of `running`, and of the logits, what failed in it.
  const auto pass = [&](const at::Tensor& tokens) {
    at::Tensor logits = extend_and_evict(model, tokens, *batch, batched, of_pass, observer);
    std::vector<size_t> sound;
    std::vector<int64_t> rows;
    for (size_t row = 0; row < running.size(); ++row) {
      errors[running[row]] = of_pass[row];
      if (!of_pass[row].empty()) continue;
      sound.push_back(running[row]);
      rows.push_back(static_cast<int64_t>(row));
    }
    if (sound.size() == running.size()) return logits;
    running = sound;
    return logits.index_select(0, on_device(at::tensor(rows, at::kLong), logits.device()));
  };

  at::Tensor logits;
  if (question.empty()) {
    std::vector<at::Tensor> of_contexts;
    for (const auto& growing : caches) of_contexts.push_back(growing.context_logits);
    logits = at::stack(of_contexts);
  } else {
    logits = pass(token_ids(question));
  }
  for (int64_t step = 0; !running.empty(); ++step) {
    const auto ids = next(step, running, logits);
    std::vector<size_t> still;
    std::vector<int64_t> tokens;
    for (size_t row = 0; row < running.size(); ++row) {
      if (!ids.at(row)) continue;
      still.push_back(running[row]);
      tokens.push_back(*ids[row]);
    }
    if (still.empty()) return;
    running = still;
    if (running.size() < batched.size()) make_batch();
    logits = pass(at::tensor(tokens, at::kLong).unsqueeze(1));
  }
}

}  // namespace kvbench
