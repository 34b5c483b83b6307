#include "harness/runner/compress.h"

#include <algorithm>
#include <map>

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

// One compression of a context under way: fed layer by layer, then finished.
class Compressor {
 public:
  Compressor(const Decoder& model, const std::vector<PolicyAtRatio>& policies,
             const CompressOptions& options)
      : policies_(policies),
        options_(options),
        pending_(policies.size()),
        caches_(policies.size()) {
    for (auto& out : caches_) {
      out.cache = std::make_unique<KvCache>(model.config().n_layers);
    }
  }

  void add_layer(const LayerView& layer) {
    std::map<std::string, LayerScores> by_scorer;
    for (size_t i = 0; i < policies_.size(); ++i) {
      const Policy& policy = *policies_[i].policy;
      if (!caches_[i].error.empty()) continue;
      if (keeps_all(i)) {
        store(layer, keep_all(layer.n_kv_heads(), layer.n_tokens()), caches_[i]);
        if (policy.is_full() || !options_.on_scores) continue;
      }
      const auto found = by_scorer.find(policy.scorer());
      const LayerScores& scored = found != by_scorer.end()
                                      ? found->second
                                      : (by_scorer[policy.scorer()] = score(policy, layer));
      take(layer, scored, i);
    }
    if (spans_layers()) layers_.push_back(layer);
  }

  // Policies whose allocator spans layers are cut here, all others have been already.
  std::vector<CompressedCache> finish() {
    for (size_t i = 0; i < policies_.size(); ++i) {
      if (pending_[i].empty() || !caches_[i].error.empty()) continue;
      const auto counts = policies_[i].policy->allocate_layers(pending_[i], policies_[i].ratio);
      for (size_t l = 0; l < layers_.size(); ++l) cut(layers_[l], pending_[i][l], counts[l], i);
    }
    return std::move(caches_);
  }

 private:
  bool keeps_all(size_t i) const {
    return policies_[i].policy->is_full() || policies_[i].ratio == 0;
  }
  bool spans_layers() const {
    return std::any_of(policies_.begin(), policies_.end(),
                       [](const auto& asked) { return asked.policy->spans_layers(); });
  }

  LayerScores score(const Policy& policy, const LayerView& layer) const {
    LayerScores result;
    const Stopwatch watch(layer.keys.device());
    try {
      result.scores = policy.score(layer);
      KVB_CHECK(result.scores.scalar_type() == at::kFloat && result.scores.dim() == 2 &&
                    result.scores.size(0) == layer.n_kv_heads() &&
                    result.scores.size(1) == layer.n_tokens(),
                "{} must give float32 scores [H, T]", policy.scorer());
    } catch (const InputError& e) {
      result.error = e.what();
    }
    result.ms = watch.ms();
    if (options_.on_scores && result.error.empty()) {
      options_.on_scores(policy.scorer(), layer.index, result.scores);
    }
    return result;
  }

  void take(const LayerView& layer, const LayerScores& scored, size_t i) {
    if (keeps_all(i)) return;
    CompressedCache& out = caches_[i];
    if (!scored.error.empty()) {
      out.error = scored.error;
      out.cache.reset();
      return;
    }
    out.score_ms += scored.ms;
    const at::Tensor scores = policies_[i].policy->protected_scores(scored.scores);
    if (policies_[i].policy->spans_layers()) {
      pending_[i].push_back(scores);
      return;
    }
    const Stopwatch watch(layer.keys.device());
    const auto counts = policies_[i].policy->allocate(layer, scores, policies_[i].ratio);
    out.allocate_ms += watch.ms();
    cut(layer, scores, counts, i);
  }

  void cut(const LayerView& layer, const at::Tensor& scores, const std::vector<int64_t>& counts,
           size_t i) {
    const Stopwatch watch(layer.keys.device());
    store(layer, policies_[i].policy->select(layer, scores, counts), caches_[i]);
    caches_[i].compact_ms += watch.ms();
  }

  void store(const LayerView& layer, KeptTokens kept, CompressedCache& out) const {
    out.cache->store(layer.index, layer.keys, layer.values, kept);
    for (const auto count : kept.counts()) out.keep_counts.push_back(static_cast<int32_t>(count));
    if (options_.keep_positions) out.kept.push_back(std::move(kept));
  }

  const std::vector<PolicyAtRatio>& policies_;
  const CompressOptions& options_;
  std::vector<std::vector<at::Tensor>> pending_;  // protected scores of each layer, where wanted
  std::vector<LayerView> layers_;                 // whole layers, where an allocator spans them
  std::vector<CompressedCache> caches_;
};

}  // namespace

Compressed compress_context(const Decoder& model, const std::vector<int32_t>& context,
                            const std::vector<PolicyAtRatio>& policies,
                            const CompressOptions& options) {
  Compressor compressor(model, policies, options);
  double observed_ms = 0;
  const Stopwatch watch(model.device());
  Compressed result;
  result.last_logits = model.prefill(context, [&](const LayerView& view) {
    const Stopwatch observed(model.device());
    LayerView layer = view;
    layer.seed = options.seed;
    compressor.add_layer(layer);
    observed_ms += observed.ms();
  });
  result.prefill_ms = watch.ms() - observed_ms;
  result.caches = compressor.finish();
  return result;
}

}  // namespace kvbench
