#include "harness/engine/decode.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/base/error.h"
#include "harness/engine/next_token.h"
#include "harness/engine/stopwatch.h"

namespace kvbench {

at::Tensor extend_and_evict(const Decoder& model, const at::Tensor& tokens, DecodeBatch& batch,
                            const std::vector<GrowingCache>& caches,
                            std::vector<std::string>& errors,
                            const Decoder::StepObserver& observer) {
  errors.assign(caches.size(), "");
  const bool any = std::any_of(caches.begin(), caches.end(),
                               [](const GrowingCache& c) { return c.eviction != nullptr; });
  if (!any) return model.extend(tokens, batch, Decoder::Logits::kLast, observer);
  const auto observe = [&](int64_t layer, const at::Tensor& queries) {
    for (size_t s = 0; s < caches.size(); ++s) {
      if (caches[s].eviction == nullptr) continue;
      caches[s].eviction->observe(layer, queries.select(0, static_cast<int64_t>(s)));
    }
    if (observer) observer(layer, queries);
  };
  at::Tensor logits = model.extend(tokens, batch, Decoder::Logits::kLast, observe);
  bool cut = false;
  for (size_t s = 0; s < caches.size(); ++s) {
    if (caches[s].eviction == nullptr) continue;
    try {
      cut = caches[s].eviction->end_step(*caches[s].cache) || cut;
    } catch (...) {
      errors[s] = current_error();
    }
  }
  if (cut) batch.collect();
  return logits;
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
    return logits.index_select(0, at::tensor(rows, at::kLong).to(logits.device()));
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

namespace {

// Logits [S, vocab] in which the ids cannot be chosen.
at::Tensor without(const at::Tensor& logits, const std::vector<int64_t>& ids) {
  at::Tensor rest = logits.clone();
  for (const int64_t id : ids) {
    if (id < rest.size(1)) rest.select(1, id).fill_(-INFINITY);
  }
  return rest;
}

}  // namespace

std::vector<Generation> generate(const Decoder& model, const std::vector<GrowingCache>& caches,
                                 const std::vector<int32_t>& question,
                                 const GenerateOptions& options) {
  std::vector<Generation> results(caches.size());
  if (options.max_new_tokens <= 0) return results;
  const Stopwatch watch(model.device());
  const auto ends = [&](const Generation& result, int64_t id) {
    const auto n_before = static_cast<int64_t>(result.tokens.size()) - 1;
    return n_before + 1 >= options.max_new_tokens ||
           (n_before >= options.min_new_tokens &&
            std::find(options.end_tokens.begin(), options.end_tokens.end(), id) !=
                options.end_tokens.end());
  };
  std::vector<size_t> in_pass(caches.size());  // those that the pass under way is for
  std::iota(in_pass.begin(), in_pass.end(), size_t{0});
  const auto greedy = [&](int64_t step, const std::vector<size_t>& running,
                          const at::Tensor& logits) {
    const bool without_ends = options.exclude_early_ends && step < options.min_new_tokens;
    auto ids = most_likely(without_ends ? without(logits, options.end_tokens) : logits);
    const double now_ms = watch.ms();
    in_pass.clear();
    for (size_t row = 0; row < running.size(); ++row) {
      Generation& result = results[running[row]];
      if (!ids[row]) {
        result.error = fmt::format("the logits of step {} are NaN", step);
        continue;
      }
      result.tokens.push_back(static_cast<int32_t>(*ids[row]));
      result.token_ms.push_back(now_ms);
      if (ends(result, *ids[row])) {
        ids[row].reset();
      } else {
        in_pass.push_back(running[row]);
      }
    }
    return ids;
  };
  std::vector<std::string> errors;
  try {
    decode(model, caches, question, greedy, errors);
  } catch (const InputError&) {
    throw;
  } catch (...) {
    for (const size_t i : in_pass) {
      errors[i] = current_error();
      results[i].retry_alone = in_pass.size() > 1;
    }
  }
  for (size_t i = 0; i < caches.size(); ++i) {
    if (!errors[i].empty()) results[i].error = errors[i];
    results[i].attended = caches[i].cache->attended();
  }
  return results;
}

}  // namespace kvbench
