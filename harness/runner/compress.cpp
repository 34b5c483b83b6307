#include "harness/runner/compress.h"

#include "harness/base/error.h"
#include "harness/runner/stopwatch.h"

namespace kvbench {
namespace {

// The scores of one scorer for the layer at hand.
struct LayerScores {
  at::Tensor scores;
  std::string error;
  double ms = 0;
};

LayerScores score_layer(const Policy& policy, const LayerView& view) {
  LayerScores result;
  const Stopwatch watch(view.keys.device());
  try {
    result.scores = policy.score(view);
  } catch (const InputError& e) {
    result.error = e.what();
  }
  result.ms = watch.ms();
  return result;
}

void cut_layer(const PolicyAtRatio& asked, const LayerView& view, const LayerScores& layer,
               const CompressOptions& options, CompressedCache& out) {
  if (!out.error.empty()) return;
  if (!layer.error.empty()) {
    out.error = layer.error;
    out.cache.reset();
    return;
  }
  const Stopwatch watch(view.keys.device());
  KeptTokens kept = asked.policy->select(view, layer.scores, asked.ratio);
  out.cache->store(view.index, view.keys, view.values, kept);
  for (const auto count : kept.counts()) out.keep_counts.push_back(static_cast<int32_t>(count));
  out.compact_ms += watch.ms();
  out.score_ms += layer.ms;
  if (options.keep_positions) out.kept.push_back(std::move(kept));
}

}  // namespace

Compressed compress_context(const Decoder& model, const std::vector<int32_t>& context,
                            const std::vector<PolicyAtRatio>& policies,
                            const CompressOptions& options) {
  Compressed result;
  result.caches.resize(policies.size());
  for (auto& out : result.caches) {
    out.cache = std::make_unique<KvCache>(model.config().n_layers, options.slack);
  }
  double observed_ms = 0;
  const auto observer = [&](const LayerView& layer) {
    const Stopwatch watch(model.device());
    LayerView view = layer;
    view.seed = options.seed;
    std::map<std::string, LayerScores> by_scorer;
    by_scorer[""] = {};  // of the full cache, which needs none
    for (size_t i = 0; i < policies.size(); ++i) {
      const std::string& scorer = policies[i].policy->scorer();
      if (!by_scorer.contains(scorer)) {
        by_scorer[scorer] = score_layer(*policies[i].policy, view);
        if (options.on_scores && by_scorer[scorer].error.empty()) {
          options.on_scores(scorer, view.index, by_scorer[scorer].scores);
        }
      }
      cut_layer(policies[i], view, by_scorer[scorer], options, result.caches[i]);
    }
    observed_ms += watch.ms();
  };
  const Stopwatch watch(model.device());
  result.last_logits = model.prefill(context, observer);
  result.prefill_ms = watch.ms() - observed_ms;
  return result;
}

}  // namespace kvbench
