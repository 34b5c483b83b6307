#include "harness/engine/compress.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <exception>
#include <map>

#include "harness/base/error.h"
#include "harness/engine/chunked_prefill.h"
#include "harness/engine/in_layer.h"
#include "harness/engine/kept_attention.h"
#include "harness/engine/second_pass.h"
#include "harness/engine/stopwatch.h"
#include "kernels/common/host_torch.h"
#include "kernels/holds_positions/holds_positions_torch.h"

namespace kvbench {
namespace {

// The scores of one scorer for the layer at hand.
struct LayerScores {
  Scored scored;
  std::exception_ptr failure;
  double ms = 0;
};

// Scored already: the queries are twice the query heads' size, often more than keys and values.
LayerView without_queries(LayerView layer) {
  layer.queries.reset();
  layer.queries_prerope.reset();
  return layer;
}

LayerView without_hidden_states(LayerView layer) {
  layer.hidden_states.reset();
  return layer;
}

// One compression of a context under way: fed layer by layer, then finished.
class Compressor {
 public:
  Compressor(const Decoder& model, const std::vector<PolicyAtRatio>& policies,
             const CompressOptions& options)
      : policies_(policies),
        options_(options),
        spans_layers_(std::any_of(policies.begin(), policies.end(),
                                  [](const auto& asked) { return asked.policy->spans_layers(); })),
        needs_queries_(
            std::any_of(policies.begin(), policies.end(),
                        [](const auto& asked) { return asked.policy->reads_queries_late(); })),
        pending_(policies.size()),
        carries_(policies.size()),
        selected_(policies.size()),
        watched_(policies.size()),
        caches_(policies.size()) {
    for (auto& out : caches_) {
      out.cache = std::make_unique<KvCache>(model.config().n_layers);
    }
  }

  void add_layer(const LayerView& view) {
    if (view.window > 0) return add_windowed_layer(view);
    LayerView layer = view;
    layer.seed = options_.seed;
    if (!options_.importance.empty()) {
      layer.importance = options_.importance.at(layer.index).to(layer.keys.device());
    }
    by_scorer_.clear();
    for (size_t i = 0; i < policies_.size(); ++i) {
      guarded(i, [&] {
        in_layer(layer.index,
                 [&] { policies_[i].keeps_all() ? take_all(i, layer) : take(i, layer); });
        note_peak(i, layer);
      });
    }
    layer.hidden_states.reset();
    if (spans_layers_) layers_.push_back(needs_queries_ ? layer : without_queries(layer));
  }

  // What stays of the layer added last, where positions are kept. Throws what went wrong with the
  // policy.
  KeptTokens latest(size_t i) const {
    if (!caches_[i].error.empty()) throw std::runtime_error(caches_[i].error);
    return selected_[i].back().second.on_host();
  }

  // Policies whose allocator spans layers are cut here, all others have been already.
  std::vector<CompressedCache> finish(const at::Tensor& last_logits, double prefill_ms) {
    by_scorer_.clear();
    for (size_t i = 0; i < policies_.size(); ++i) {
      if (pending_[i].empty()) continue;
      guarded(i, [&] {
        const Stopwatch watch(layers_.front().keys.device(), options_.timed);
        const auto counts = policies_[i].policy->allocate_layers(pending_[i], policies_[i].ratio);
        caches_[i].allocate_ms += watch.ms();
        for (size_t l = 0; l < layers_.size(); ++l) {
          in_layer(layers_[l].index, [&] {
            cut(layers_[l], pending_[i][l], counts[l],
                carries_[i].empty() ? at::Tensor() : carries_[i][l], i);
          });
        }
      });
    }
    for (size_t i = 0; i < policies_.size(); ++i) guarded(i, [&] { cut_together(i); });
    settle();
    for (size_t i = 0; i < caches_.size(); ++i) {
      CompressedCache& out = caches_[i];
      if (!out.error.empty()) continue;
      if (!watched_[i].empty()) out.kept_watched = at::stack(watched_[i]).cpu();
      out.last_logits = last_logits;
      out.prefill_ms = prefill_ms;
    }
    return std::move(caches_);
  }

 private:
  // What a window has left behind is no policy's business, nor what it still sees.
  void add_windowed_layer(const LayerView& layer) {
    for (size_t i = 0; i < policies_.size(); ++i) {
      guarded(i, [&] {
        caches_[i].cache->store_window(layer.index, layer.keys, layer.values, layer.window);
        note_peak(i, layer);
      });
    }
  }

  // Whatever goes wrong in one policy's part stays with that policy, of which nothing else is left.
  template <class F>
  void guarded(size_t i, F&& work) {
    if (!caches_[i].error.empty()) return;
    try {
      work();
    } catch (...) {
      caches_[i] = CompressedCache();
      caches_[i].error = current_error();
      pending_[i].clear();
      selected_[i].clear();
    }
  }

  // Scores of the policy's scorer, made once a layer. An exception is kept for all who share them.
  const at::Tensor& score(size_t i, const LayerView& layer) {
    const Policy& policy = *policies_[i].policy;
    const auto [it, is_new] = by_scorer_.try_emplace(policy.scorer());
    LayerScores& scored = it->second;
    if (is_new) {
      const Stopwatch watch(layer.keys.device(), options_.timed);
      try {
        scored.scored = policy.score(layer);
      } catch (...) {
        scored.failure = std::current_exception();
      }
      scored.ms = watch.ms();
      if (options_.on_scores && !scored.failure) {
        options_.on_scores(policy.scorer(), layer.index, scored.scored.scores);
      }
    }
    caches_[i].score_ms += scored.ms;
    if (scored.failure) std::rethrow_exception(scored.failure);
    return scored.scored.scores;
  }

  void take_all(size_t i, const LayerView& layer) {
    if (options_.on_scores && !policies_[i].policy->is_full()) score(i, layer);
    if (policies_[i].cuts_by_rule()) return take_by_rule(i, layer);
    store(layer, keep_all(layer.n_kv_heads(), layer.n_tokens(), layer.keys.device()),
          carried(i, layer), i);
  }

  // Ranking, selection and compaction are one step here: they all count as compaction.
  void take_by_rule(size_t i, const LayerView& layer) {
    const Stopwatch watch(layer.keys.device(), options_.timed);
    const Policy& policy = *policies_[i].policy;
    CompressedCache& out = caches_[i];
    if (!out.eviction) out.eviction = std::make_unique<Eviction>(policy, *policy.decode());
    Selection kept = on_device(out.eviction->add_layer(layer), layer.keys.device());
    out.cache->store(layer.index, layer.keys, layer.values, kept);
    note_watched(i, kept);
    selected_[i].push_back({layer.index, std::move(kept)});
    out.compact_ms += watch.ms();
  }

  // Where all layers share one budget of a rule, nothing has been cut yet.
  void cut_together(size_t i) {
    CompressedCache& out = caches_[i];
    if (!out.eviction || !out.eviction->end_prefill(*out.cache)) return;
    for (auto& [index, kept] : selected_[i]) {
      kept = on_device(out.eviction->kept(index), kept.offsets.device());
    }
  }

  void take(size_t i, const LayerView& layer) {
    const at::Tensor scores = policies_[i].policy->protected_scores(score(i, layer));
    if (policies_[i].policy->spans_layers()) {
      pending_[i].push_back(scores);
      if (policies_[i].policy->decode()) carries_[i].push_back(carried(i, layer));
      return;
    }
    const Stopwatch watch(layer.keys.device(), options_.timed);
    const auto counts = policies_[i].policy->allocate(layer, scores, policies_[i].ratio);
    caches_[i].allocate_ms += watch.ms();
    cut(layer, scores, counts, carried(i, layer), i);
  }

  void cut(const LayerView& layer, const at::Tensor& scores, const KeepCounts& counts,
           const at::Tensor& carried, size_t i) {
    const Stopwatch watch(layer.keys.device(), options_.timed);
    const Policy& policy = *policies_[i].policy;
    store(layer, policy.select(layer, policy.rank(layer, scores, counts), counts), carried, i);
    caches_[i].compact_ms += watch.ms();
  }

  // `carried`: by all T tokens, where the policy goes on evicting.
  void store(const LayerView& layer, Selection kept, const at::Tensor& carried, size_t i) {
    CompressedCache& out = caches_[i];
    out.cache->store(layer.index, layer.keys, layer.values, kept);
    note_watched(i, kept);
    if (evicts_later(i)) {
      const Policy& policy = *policies_[i].policy;
      if (!out.eviction) out.eviction = std::make_unique<Eviction>(policy, *policy.decode());
      const KeptTokens on_host = kept.on_host();
      out.eviction->add_layer(layer, on_host, on_host.counts(), carried);
    }
    if (!options_.keep_positions) kept.positions.reset();
    selected_[i].push_back({layer.index, std::move(kept)});
  }

  void note_watched(size_t i, const Selection& kept) {
    if (options_.watched.empty()) return;
    if (!wanted_.defined()) {
      wanted_ = on_device(at::tensor(options_.watched, at::kInt), kept.positions.device());
    }
    watched_[i].push_back(holds_positions(kept.positions, kept.offsets, wanted_));
  }

  // What the device has decided comes to the host, for all layers of all policies at once.
  void settle() {
    std::vector<at::Tensor> wanted;
    for (const auto& layers : selected_) {
      for (const auto& [index, kept] : layers) {
        wanted.push_back(kept.offsets);
        wanted.push_back(kept.invalid);
      }
    }
    if (wanted.empty()) return;
    const auto values = host_values(at::cat(wanted));
    auto next = values.begin();
    for (size_t i = 0; i < policies_.size(); ++i) {
      const auto layers = std::move(selected_[i]);
      for (const auto& [index, kept] : layers) {
        const int64_t n_heads = kept.counts.n_kv_heads();
        const std::vector<int64_t> offsets(next, next + n_heads + 1);
        const std::vector<int64_t> invalid(next + n_heads + 1, next + 2 * n_heads + 1);
        next += 2 * n_heads + 1;
        guarded(i, [&] { in_layer(index, [&] { settle(i, index, kept, offsets, invalid); }); });
      }
    }
  }

  void settle(size_t i, int64_t layer, const Selection& kept, const std::vector<int64_t>& offsets,
              const std::vector<int64_t>& invalid) {
    CompressedCache& out = caches_[i];
    std::vector<int64_t> counts;
    for (size_t h = 0; h < invalid.size(); ++h) {
      counts.push_back(offsets[h + 1] - offsets[h]);
      out.keep_counts.push_back(static_cast<int32_t>(counts.back()));
      if (invalid[h] == 0) continue;
      throw std::runtime_error(
          fmt::format("scorer {} gave NaN for KV head {}, or its keep count is "
                      "impossible",
                      policies_[i].policy->scorer(), h));
    }
    if (!kept.counts.is_known()) out.cache->set_lengths(layer, counts);
    if (options_.keep_positions) out.kept.push_back(kept.on_host());
  }

  // What the tokens carry into decoding: made along with the scores where the scorer is the same.
  // Undefined where nothing is evicted then.
  at::Tensor carried(size_t i, const LayerView& layer) const {
    const auto& rule = policies_[i].policy->decode();
    if (!evicts_later(i)) return {};
    const auto it = by_scorer_.find(rule->scorer_label);
    if (it != by_scorer_.end() && !it->second.failure) return it->second.scored.carried;
    return rule->scorer->carry(layer, {});
  }
  // Where nothing is removed, a budget that is a share of the context has no end.
  bool evicts_later(size_t i) const {
    const auto& rule = policies_[i].policy->decode();
    return rule && (policies_[i].ratio > 0 || rule->budget > 0);
  }

  // The layer at hand in full, beside the cut ones before it, or all of them where none is cut yet.
  void note_peak(size_t i, const LayerView& layer) {
    CompressedCache& out = caches_[i];
    const auto layer_bytes = static_cast<int64_t>(layer.keys.nbytes() + layer.values.nbytes());
    const auto waiting = static_cast<int64_t>(pending_[i].size());
    const int64_t whole =
        layer_bytes * (layer.window > 0 ? waiting + 1 : std::max(waiting, int64_t{1}));
    out.peak_kv_bytes = std::max(out.peak_kv_bytes, whole + out.cache->bytes_allocated());
  }

  const std::vector<PolicyAtRatio>& policies_;
  const CompressOptions& options_;
  bool spans_layers_, needs_queries_;
  std::map<std::string, LayerScores> by_scorer_;  // of the layer at hand
  std::vector<std::vector<at::Tensor>> pending_;  // protected scores of each layer, where wanted,
  std::vector<std::vector<at::Tensor>> carries_;  // and what its tokens carry into decoding
  std::vector<LayerView> layers_;                 // whole layers, where an allocator spans them
  std::vector<std::vector<std::pair<int64_t, Selection>>> selected_;  // by layer
  at::Tensor wanted_;                                 // the watched positions, where the layers are
  std::vector<std::vector<at::Tensor>> watched_;      // uint8 [H, watched] a layer
  std::vector<CompressedCache> caches_;
};

// Policies whose scorer, the same for all, asks for passes behind the context: cut after them.
std::vector<CompressedCache> cut_after(const SecondPass& second, const std::string& scorer,
                                       const Decoder& model,
                                       const std::vector<PolicyAtRatio>& policies,
                                       const CompressOptions& options,
                                       const at::Tensor& last_logits, double prefill_ms) {
  std::vector<CompressedCache> caches(policies.size());
  try {
    Compressor compressor(model, policies, options);
    for (const LayerView& layer : second.layers(scorer)) compressor.add_layer(layer);
    caches = compressor.finish(last_logits, prefill_ms);
  } catch (...) {
    for (CompressedCache& cut : caches) cut.error = current_error();
    return caches;
  }
  const SecondPass::Cost cost = second.cost(scorer);
  for (CompressedCache& cut : caches) {
    if (!cut.error.empty()) continue;
    cut.score_ms += cost.ms;
    cut.score_tokens = cost.tokens;
    cut.peak_kv_bytes = second.bytes() + cut.cache->bytes_allocated();
  }
  return caches;
}

// The prefill of a policy that attends to what it keeps: every budgeted layer is cut first.
CompressedCache prefill_of_kept(const Decoder& model, const std::vector<int32_t>& context,
                                const PolicyAtRatio& asked, const CompressOptions& options) {
  try {
    const std::vector<PolicyAtRatio> alone = {asked};
    CompressOptions with_positions = options;
    with_positions.keep_positions = true;
    Compressor compressor(model, alone, with_positions);
    double observed_ms = 0;
    const auto add = [&](const LayerView& layer) {
      const Stopwatch observed(model.device(), options.timed);
      compressor.add_layer(layer);
      observed_ms += observed.ms();
    };
    const auto add_window = [&](const LayerView& layer) {
      if (layer.window > 0) add(layer);
    };
    const auto attend = [&](const LayerView& layer) {
      add(layer);
      return kept_attention(layer, compressor.latest(0));
    };
    const Stopwatch watch(model.device(), options.timed);
    const at::Tensor last_logits =
        model.prefill(context, add_window, asked.policy->reads_hidden_states(), attend);
    CompressedCache cut =
        std::move(compressor.finish(last_logits, watch.ms() - observed_ms).front());
    if (!options.keep_positions) cut.kept.clear();
    return cut;
  } catch (...) {
    CompressedCache failed;
    failed.error = current_error();
    return failed;
  }
}

}  // namespace

Compressed compress_context(const Decoder& model, const std::vector<int32_t>& context,
                            const std::vector<PolicyAtRatio>& policies,
                            const CompressOptions& options) {
  Compressed result;
  result.caches.resize(policies.size());
  // Those of one scorer whose cut waits for its passes, and their indices in `policies`.
  struct Late {
    std::vector<PolicyAtRatio> policies;
    std::vector<size_t> index;
  };
  std::map<std::string, Late> late;
  std::vector<const Policy*> reconstructing;
  std::vector<PolicyAtRatio> together;
  std::vector<size_t> index;  // of those in `policies`
  for (size_t i = 0; i < policies.size(); ++i) {
    if (policies[i].prefills_alone()) {
      const auto prefill = policies[i].policy->chunk() > 0 ? prefill_in_chunks : prefill_of_kept;
      result.caches[i] = prefill(model, context, policies[i], options);
    } else if (policies[i].policy->reconstructs() &&
               (!policies[i].keeps_all() || options.on_scores)) {
      Late& of_scorer = late[policies[i].policy->scorer()];
      of_scorer.policies.push_back(policies[i]);
      of_scorer.index.push_back(i);
      reconstructing.push_back(policies[i].policy);
    } else {
      together.push_back(policies[i]);
      index.push_back(i);
    }
  }
  if (!together.empty() || !late.empty() || options.keep_prefill) {
    Compressor compressor(model, together, options);
    SecondPass second(model, context, reconstructing, options.frame, options.timed);
    double observed_ms = 0;
    const Stopwatch watch(model.device(), options.timed);
    const auto observe = [&](const LayerView& layer) {
      const Stopwatch observed(model.device(), options.timed);
      compressor.add_layer(layer);
      second.add_layer(layer);
      if (options.keep_prefill) result.prefilled.layers.push_back(without_hidden_states(layer));
      observed_ms += observed.ms();
    };
    const bool hidden_states = std::any_of(together.begin(), together.end(), [](const auto& asked) {
      return asked.policy->reads_hidden_states();
    });
    const at::Tensor last_logits = model.prefill(context, observe, hidden_states);
    const double prefill_ms = watch.ms() - observed_ms;
    if (options.keep_prefill) {
      result.prefilled.last_logits = last_logits;
      result.prefilled.ms = prefill_ms;
    }
    auto caches = compressor.finish(last_logits, prefill_ms);
    for (size_t i = 0; i < caches.size(); ++i) result.caches[index[i]] = std::move(caches[i]);
    second.run();
    for (const auto& [scorer, of_scorer] : late) {
      caches =
          cut_after(second, scorer, model, of_scorer.policies, options, last_logits, prefill_ms);
      for (size_t i = 0; i < caches.size(); ++i) {
        result.caches[of_scorer.index[i]] = std::move(caches[i]);
      }
    }
  }
  return result;
}

std::vector<CompressedCache> compress_prefilled(const Decoder& model, const Prefilled& prefilled,
                                                const std::vector<PolicyAtRatio>& policies,
                                                const CompressOptions& options) {
  for (const PolicyAtRatio& asked : policies) {
    KVB_CHECK(!asked.prefills_alone() && !asked.policy->reconstructs(),
              "{} needs passes of its own", asked.policy->name());
  }
  const c10::InferenceMode no_autograd;
  Compressor compressor(model, policies, options);
  for (const LayerView& layer : prefilled.layers) compressor.add_layer(layer);
  return compressor.finish(prefilled.last_logits, prefilled.ms);
}

}  // namespace kvbench
