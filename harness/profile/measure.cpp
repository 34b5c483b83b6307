#include "harness/profile/measure.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>

#include "harness/engine/next_token.h"
#include "harness/engine/observed_context.h"
#include "policies/lukv/allocation.h"
#include "policies/lukv/loss_curve.h"

namespace kvbench {
namespace {

// Calls work(i) for every i < n. With several workers each takes the next i and keeps all of its
// operators on its own thread; a single one shares every operator out to all threads.
void share_out(int64_t n_workers, size_t n, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  at::parallel_for(0, n_workers, 1, [&](int64_t, int64_t) {
    for (size_t i = next++; i < n; i = next++) work(i);
  });
}

ScorerCurve solve(const ProfileConfig& config, const ProfiledScorer& scorer,
                  const at::Tensor& scores, const at::Tensor& importance) {
  const int64_t n_tokens = scores.size(2), n_heads = scores.size(0) * scores.size(1);
  const auto head = [&](const at::Tensor& values, int64_t h) {
    return std::span(values.const_data_ptr<float>() + h * n_tokens, static_cast<size_t>(n_tokens));
  };
  ScorerCurve curve;
  for (int64_t h = 0; h < n_heads; ++h) {
    auto marginals =
        lukv::marginal_losses(head(scores, h), head(importance, h), scorer.sink, scorer.window);
    curve.hull.push_back(lukv::convex_minorant(marginals));
    const auto free = head(scores, h).subspan(scorer.sink, marginals.size());
    std::vector<float> ranked(free.begin(), free.end());
    std::sort(ranked.begin(), ranked.end());
    curve.groups.push_back(lukv::rank_groups(ranked, marginals));
    if (!config.losses) continue;
    curve.losses.push_back(std::move(marginals));
    curve.scores.push_back(std::move(ranked));
  }
  const int64_t min_keep =
      lukv::min_keep_tokens(config.min_keep, n_tokens, scorer.sink, scorer.window);
  const auto scope = config.scope == "layer" ? lukv::Scope::kLayer : lukv::Scope::kGlobal;
  for (const auto count :
       lukv::discard_table(curve.hull, scores.size(1), n_tokens, min_keep, scope)) {
    curve.prune_ratios.push_back(static_cast<float>(count) / static_cast<float>(n_tokens));
  }
  return curve;
}

}  // namespace

size_t group_size(const std::vector<ProfileContext>& contexts, size_t first) {
  constexpr size_t kMostTokens = 8192;
  size_t n_tokens = contexts[first].tokens.size(), end = first + 1;
  while (end < contexts.size() && n_tokens + contexts[end].tokens.size() <= kMostTokens) {
    n_tokens += contexts[end++].tokens.size();
  }
  return end - first;
}

std::vector<Measurement> measure(const ProfileConfig& config, const Decoder& model,
                                 const std::vector<Policy>& scorers,
                                 const std::vector<ProfileContext>& contexts,
                                 const ContextFrame& frame, size_t first, size_t size,
                                 const Advance& advance) {
  std::vector<const Policy*> policies;
  for (const auto& scorer : scorers) policies.push_back(&scorer);
  const auto norm =
      config.oracle_norm == "none" ? lukv::OracleNorm::kNone : lukv::OracleNorm::kLayer;
  const auto seed = [&](size_t i) { return config.sampling_seed + 1000 * i; };
  // A context on each thread waits for nothing; threads that share a decode step's many short
  // operators wait after every one.
  const int64_t n_threads = at::get_num_threads();
  const int64_t n_workers =
      model.device().is_cpu() && static_cast<int64_t>(size) >= n_threads ? n_threads : 1;

  std::vector<std::unique_ptr<ObservedContext>> group(size);
  share_out(n_workers, size, [&](size_t i) {
    group[i] = std::make_unique<ObservedContext>(model, contexts[first + i].tokens, policies, norm,
                                                 seed(first + i), frame);
    if (advance) advance(1, "contexts read");
  });
  size_t most_questions = 0;
  for (size_t i = 0; i < size; ++i) {
    most_questions = std::max(most_questions, contexts[first + i].questions.size());
  }
  std::vector<Measurement> results;
  for (size_t q = 0; q < most_questions; ++q) {
    std::vector<ObservedContext::Ask> asks;
    const size_t n_before = results.size();
    for (size_t i = 0; i < size; ++i) {
      const ProfileContext& context = contexts[first + i];
      if (q >= context.questions.size()) continue;
      asks.push_back({group[i].get(), context.questions[q],
                      [&config, random = Random(seed(first + i) + q)](
                          int64_t, const at::Tensor& logits) mutable {
                        return sample_token(logits, {.temperature = config.temperature}, random);
                      }});
      results.push_back({{static_cast<int32_t>(first + i), static_cast<int32_t>(q),
                          static_cast<int32_t>(context.tokens.size())},
                         {}});
    }
    // One batch for every worker: it reads the weights once a step.
    const size_t n_parts = std::min(asks.size(), static_cast<size_t>(n_workers));
    share_out(n_workers, n_parts, [&](size_t part) {
      const size_t begin = part * asks.size() / n_parts, end = (part + 1) * asks.size() / n_parts;
      const std::vector batch(asks.begin() + begin, asks.begin() + end);
      const auto importance = ObservedContext::importance(batch, config.decode_steps);
      for (size_t a = 0; a < batch.size(); ++a) {
        for (size_t s = 0; s < scorers.size(); ++s) {
          results[n_before + begin + a].curves.push_back(
              solve(config, config.scorers[s], batch[a].context->scores(s), importance[a]));
        }
      }
    });
  }
  if (advance) advance(static_cast<int64_t>(size), "contexts measured");
  return results;
}

}  // namespace kvbench
