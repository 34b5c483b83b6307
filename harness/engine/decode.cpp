#include "harness/engine/decode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "harness/base/error.h"
#include "harness/engine/stopwatch.h"

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

at::Tensor extend_and_evict(const Decoder& model, const at::Tensor& tokens, DecodeBatch& batch,
                            const std::vector<GrowingCache>& caches,
                            std::vector<std::string>& errors) {
  errors.assign(caches.size(), "");
  const bool any = std::any_of(caches.begin(), caches.end(),
                               [](const GrowingCache& c) { return c.eviction != nullptr; });
  if (!any) return model.extend(tokens, batch);
  const auto observer = [&](int64_t layer, const at::Tensor& queries) {
    for (size_t s = 0; s < caches.size(); ++s) {
      if (caches[s].eviction == nullptr) continue;
      caches[s].eviction->observe(layer, queries.select(0, static_cast<int64_t>(s)));
    }
  };
  at::Tensor logits = model.extend(tokens, batch, Decoder::Logits::kLast, observer);
  bool cut = false;
  for (size_t s = 0; s < caches.size(); ++s) {
    if (caches[s].eviction == nullptr) continue;
    try {
      cut = caches[s].eviction->end_step(*caches[s].cache) || cut;
    } catch (const std::exception& e) {
      errors[s] = first_line(e);
    }
  }
  if (cut) batch.collect();
  return logits;
}

std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options) {
  const c10::InferenceMode no_autograd;
  std::vector<Generation> results(caches.size());
  if (caches.empty() || options.max_new_tokens <= 0) return results;
  const Stopwatch watch(model.device());

  std::vector<size_t> active(caches.size());  // which result each row of the batch belongs to
  std::iota(active.begin(), active.end(), size_t{0});
  std::vector<GrowingCache> running = caches;
  std::vector<std::string> errors(caches.size());
  const auto make_batch = [&] {
    std::vector<KvCache*> of_batch;
    for (const auto& growing : running) of_batch.push_back(growing.cache);
    return std::make_unique<DecodeBatch>(of_batch);
  };
  auto batch = make_batch();
  at::Tensor logits;
  if (question.empty()) {
    std::vector<at::Tensor> of_contexts;
    for (const auto& growing : caches) of_contexts.push_back(growing.context_logits);
    logits = at::stack(of_contexts);
  } else {
    const at::Tensor ids =
        at::tensor(std::vector<int64_t>(question.begin(), question.end()), at::kLong);
    logits = extend_and_evict(model, ids.unsqueeze(0).expand({batch->size(), -1}), *batch, running,
                              errors);
  }
  while (true) {
    const std::vector<int64_t> ids = greedy(logits);
    const double now_ms = watch.ms();
    std::vector<int64_t> next;
    std::vector<size_t> still;
    for (size_t row = 0; row < active.size(); ++row) {
      Generation& result = results[active[row]];
      result.error = errors[row];
      if (!result.error.empty()) continue;
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
      running.clear();
      for (const auto i : still) running.push_back(caches[i]);
      batch = make_batch();
      active = still;
    }
    logits =
        extend_and_evict(model, at::tensor(next, at::kLong).unsqueeze(1), *batch, running, errors);
  }
}

}  // namespace kvbench
