#include "harness/profile/observed_context.h"

#include <ATen/ATen.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// Keys of all heads of a full cache while a token is being appended, [H, length + 1, d]: its heads
// have the same length and room, so they are one tensor.
at::Tensor keys_in_use(const KvCache::Layer& layer) {
  const auto n_heads = static_cast<int64_t>(layer.starts.size());
  for (size_t h = 0; h < layer.starts.size(); ++h) {
    KVB_CHECK(layer.starts[h] == static_cast<int64_t>(h) * layer.capacities[0] &&
                  layer.lengths[h] == layer.lengths[0],
              "the heads of a full cache differ");
  }
  return layer.keys.view({n_heads, layer.capacities[0], -1}).narrow(1, 0, layer.lengths[0] + 1);
}

}  // namespace

ObservedContext::ObservedContext(const Decoder& model, const std::vector<int32_t>& context,
                                 const std::vector<const Policy*>& policies, lukv::OracleNorm norm,
                                 uint64_t seed)
    : model_(model),
      cache_(model.config().n_layers),
      n_tokens_(static_cast<int64_t>(context.size())) {
  std::vector<std::vector<at::Tensor>> by_scorer(policies.size());
  model.prefill(context, [&](const LayerView& view) {
    LayerView layer = view;
    layer.seed = seed;
    attention_scale_ = layer.attention_scale;
    for (size_t i = 0; i < policies.size(); ++i) {
      by_scorer[i].push_back(policies[i]->score(layer).scores.to(at::kCPU));
    }
    norms_.push_back(lukv::value_norms(layer, norm));
    cache_.store(layer.index, layer.keys, layer.values,
                 keep_all(layer.n_kv_heads(), layer.n_tokens()));
  });
  for (const auto& layers : by_scorer) scores_.push_back(at::stack(layers));
}

at::Tensor ObservedContext::importance(const std::vector<int32_t>& question, int64_t n_steps,
                                       const NextToken& next_token) {
  const c10::InferenceMode no_autograd;
  cache_.rewind();
  DecodeBatch batch({&cache_});
  const at::Tensor ids =
      at::tensor(std::vector<int64_t>(question.begin(), question.end()), at::kLong);
  at::Tensor logits = model_.extend(ids.unsqueeze(0), batch);
  std::vector<at::Tensor> importance;
  for (int64_t l = 0; l < cache_.n_layers(); ++l) {
    importance.push_back(at::zeros({model_.config().n_kv_heads, n_tokens_}, norms_[l].options()));
  }
  const auto observe = [&](int64_t l, const at::Tensor& queries) {
    lukv::add_decode_step(importance[l], queries[0][0], keys_in_use(cache_.layer(l)), norms_[l],
                          attention_scale_);
  };
  for (int64_t step = 0; step < n_steps; ++step) {
    const int64_t token = next_token(step, logits[0]);
    logits = model_.extend(at::tensor({token}, at::kLong).unsqueeze(0), batch,
                           Decoder::Logits::kLast, observe);
  }
  return at::stack(importance).to(at::kCPU);
}

}  // namespace kvbench
