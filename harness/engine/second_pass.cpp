#include "harness/engine/second_pass.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "harness/base/error.h"
#include "harness/cache/decode_batch.h"
#include "harness/engine/in_layer.h"
#include "harness/engine/stopwatch.h"

namespace kvbench {

template <class F>
void SecondPass::guarded(Scorer& scorer, F&& work) {
  if (scorer.failure) return;
  const Stopwatch watch(model_.device(), timed_);
  try {
    work();
  } catch (...) {
    scorer.failure = std::current_exception();
    scorer.made.reset();
  }
  scorer.cost.ms += watch.ms();
}

SecondPass::SecondPass(const Decoder& model, const std::vector<int32_t>& context,
                       const std::vector<const Policy*>& policies, const ContextFrame& frame,
                       bool timed)
    : model_(model), timed_(timed), cache_(model.config().n_layers) {
  for (const Policy* policy : policies) {
    if (!policy->reconstructs()) continue;
    keeps_queries_ = keeps_queries_ || policy->reads_queries_late();
    const auto [it, is_new] = scorers_.try_emplace(policy->scorer());
    if (!is_new) continue;
    guarded(it->second, [&] { it->second.made = policy->reconstruct(context, frame); });
  }
}

void SecondPass::add_layer(const LayerView& layer) {
  if (scorers_.empty()) return;
  const Stopwatch watch(model_.device(), timed_);
  LayerView& kept = layers_.emplace_back(layer);
  kept.hidden_states.reset();
  if (layer.window > 0) {
    cache_.store_window(layer.index, layer.keys, layer.values, layer.window);
    return;
  }
  cache_.store(layer.index, layer.keys, layer.values,
               keep_all(layer.n_kv_heads(), layer.n_tokens(), layer.keys.device()));
  copy_ms_ += watch.ms();
  budgeted_[layer.index] = layers_.size() - 1;
  kept.keys.reset();
  kept.values.reset();
  if (!keeps_queries_) {
    kept.queries.reset();
    kept.queries_prerope.reset();
  }
  for (auto& [label, scorer] : scorers_) {
    guarded(scorer, [&] { in_layer(layer.index, [&] { scorer.made->add_layer(layer); }); });
  }
}

void SecondPass::run() {
  const c10::InferenceMode no_autograd;
  std::map<Passes, std::vector<Scorer*>> readers;
  for (auto& [label, scorer] : scorers_) {
    guarded(scorer, [&] { readers[scorer.made->passes()].push_back(&scorer); });
  }
  for (const auto& [passes, scorers] : readers) {
    try {
      run(passes, scorers);
    } catch (...) {
      for (Scorer* scorer : scorers) guarded(*scorer, [] { throw; });
    }
  }
  for (auto& [label, scorer] : scorers_) {
    guarded(scorer, [&] { scorer.scores = scorer.made->scores(); });
  }
}

void SecondPass::run(const Passes& passes, const std::vector<Scorer*>& readers) {
  int64_t longest = 0;
  for (const auto& ids : passes) longest = std::max(longest, std::ssize(ids));
  DecodeBatch batch({&cache_});
  batch.reserve(longest);
  for (size_t i = 0; i < passes.size(); ++i) {
    const auto n = std::ssize(passes[i]), n_tokens = cache_.next_position();
    double observed_ms = 0;
    const auto observe = [&](int64_t slot, const at::Tensor& queries, const at::Tensor& hidden) {
      const Stopwatch observed(model_.device(), timed_);
      LayerView seen = view(slot, n_tokens + n);
      seen.queries = queries[0].transpose(0, 1);  // [1, q, Hq, d] -> [Hq, q, d]
      for (Scorer* scorer : readers) {
        guarded(*scorer,
                [&] { in_layer(slot, [&] { scorer->made->observe(i, seen, hidden[0]); }); });
      }
      observed_ms += observed.ms();
    };
    const Stopwatch watch(model_.device(), timed_);
    try {
      model_.extend(token_ids(passes[i]), batch, Decoder::Logits::kLast, observe);
    } catch (const InputError& error) {
      throw_input_error("{} tokens read again behind a context of {}: {}", n, n_tokens,
                        error.what());
    }
    cache_.rewind();
    batch.expire();
    tokens_read_ += n;
    for (Scorer* scorer : readers) {
      scorer->cost.ms += watch.ms() - observed_ms;
      scorer->cost.tokens += n;
    }
  }
}

// The first n_tokens rows of a budgeted layer.
LayerView SecondPass::view(int64_t slot, int64_t n_tokens) const {
  LayerView seen = layers_[budgeted_.at(slot)];
  const KvCache::Layer& rows = cache_.layer(slot);
  seen.keys = rows.first_rows(rows.keys, n_tokens);
  seen.values = rows.first_rows(rows.values, n_tokens);
  return seen;
}

std::vector<LayerView> SecondPass::layers(const std::string& label) const {
  const Scorer& scorer = scorers_.at(label);
  if (scorer.failure) std::rethrow_exception(scorer.failure);
  std::vector<LayerView> all = layers_;
  for (LayerView& layer : all) {
    if (layer.window > 0) continue;
    layer = view(layer.index, cache_.next_position());
    layer.reconstruction = scorer.scores.at(layer.index);
  }
  return all;
}

SecondPass::Cost SecondPass::cost(const std::string& label) const {
  Cost cost = scorers_.at(label).cost;
  cost.ms += copy_ms_;
  return cost;
}

}  // namespace kvbench
