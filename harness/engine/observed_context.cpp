#include "harness/engine/observed_context.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "harness/base/error.h"
#include "harness/engine/decode.h"
#include "harness/engine/second_pass.h"
#include "kernels/oracle_step/oracle_step_torch.h"

namespace kvbench {

ObservedContext::ObservedContext(const Decoder& model, const std::vector<int32_t>& context,
                                 const std::vector<const Policy*>& policies, lukv::OracleNorm norm,
                                 uint64_t seed, const ContextFrame& frame)
    : model_(model),
      cache_(model.config().n_layers),
      n_tokens_(static_cast<int64_t>(context.size())) {
  std::vector<std::vector<at::Tensor>> by_scorer(policies.size());
  SecondPass second(model, context, policies, frame);
  const bool hidden_states = std::any_of(policies.begin(), policies.end(),
                                         [](const Policy* p) { return p->reads_hidden_states(); });
  const auto observe = [&](const LayerView& view) {
    LayerView layer = view;
    layer.seed = seed;
    if (layer.window == 0) {
      for (size_t i = 0; i < policies.size(); ++i) {
        if (policies[i]->reconstructs()) continue;
        by_scorer[i].push_back(policies[i]->score(layer).scores.to(at::kCPU));
      }
    }
    second.add_layer(layer);
    add_layer(layer, norm);
  };
  model.prefill(context, observe, hidden_states);
  second.run();
  for (size_t i = 0; i < policies.size(); ++i) {
    if (!policies[i]->reconstructs()) continue;
    for (const LayerView& layer : second.layers(policies[i]->scorer())) {
      if (layer.window > 0) continue;
      by_scorer[i].push_back(policies[i]->score(layer).scores.to(at::kCPU));
    }
  }
  for (const auto& layers : by_scorer) scores_.push_back(at::stack(layers));
}

ObservedContext::ObservedContext(const Decoder& model, const std::vector<LayerView>& layers,
                                 lukv::OracleNorm norm)
    : model_(model), cache_(model.config().n_layers), n_tokens_(layers.at(0).n_tokens()) {
  const c10::InferenceMode no_autograd;
  for (const LayerView& layer : layers) add_layer(layer, norm);
}

void ObservedContext::add_layer(const LayerView& layer, lukv::OracleNorm norm) {
  if (layer.window > 0) {
    cache_.store_window(layer.index, layer.keys, layer.values, layer.window);
    return;
  }
  attention_scale_ = layer.attention_scale;
  norms_.push_back(lukv::value_norms(layer, norm));
  cache_.store(layer.index, layer.keys, layer.values,
               keep_all(layer.n_kv_heads(), layer.n_tokens(), layer.keys.device()));
}

std::vector<at::Tensor> ObservedContext::importance(const std::vector<Ask>& asks, int64_t n_steps) {
  const c10::InferenceMode no_autograd;
  const Decoder& model = asks.at(0).context->model_;
  std::vector<GrowingCache> caches;
  std::vector<std::vector<at::Tensor>> importance(asks.size());  // [n_asks][L] of [H, T]
  for (size_t i = 0; i < asks.size(); ++i) {
    ObservedContext& context = *asks[i].context;
    context.cache_.rewind();
    DecodeBatch alone({&context.cache_});
    caches.push_back({&context.cache_, model.extend(token_ids(asks[i].question), alone)[0]});
    for (const at::Tensor& norms : context.norms_) {
      importance[i].push_back(
          at::zeros({model.config().n_kv_heads, context.n_tokens_}, norms.options()));
    }
  }
  const auto observe = [&](int64_t l, const at::Tensor& queries, const at::Tensor&) {
    for (size_t i = 0; i < asks.size(); ++i) {
      const ObservedContext& context = *asks[i].context;
      const KvCache::Layer& layer = context.cache_.layer(l);
      oracle_step(importance[i][l], queries[static_cast<int64_t>(i)][0],
                  layer.first_rows(layer.keys, layer.lengths[0] + 1), context.norms_[l],
                  context.attention_scale_);
    }
  };
  const auto next = [&](int64_t step, const std::vector<size_t>&, const at::Tensor& logits) {
    std::vector<std::optional<int64_t>> tokens(asks.size());
    if (step == n_steps) return tokens;
    for (size_t i = 0; i < asks.size(); ++i) {
      tokens[i] = asks[i].next_token(step, logits[static_cast<int64_t>(i)]);
    }
    return tokens;
  };
  std::vector<std::string> errors;  // of evictions: there are none
  decode(model, caches, /*question=*/{}, next, errors, observe);
  std::vector<at::Tensor> results;
  for (const auto& layers : importance) results.push_back(at::stack(layers).to(at::kCPU));
  return results;
}

}  // namespace kvbench
