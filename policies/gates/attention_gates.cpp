#include "policies/gates/attention_gates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "policies/gates/gate_file.h"

namespace kvbench {

AttentionGates::AttentionGates(const std::filesystem::path& path) : path_(path) {
  const GateFile file(path);
  const auto o_weight = file.shape("o_proj.weight", 2);
  const int64_t H = o_weight[0], r = o_weight[1], D = file.shape("k_proj.weight", 2)[1];
  const int64_t n_layers = file.n_layers(/*n_tensors=*/5);
  for (int64_t l = 0; l < n_layers; ++l) {
    layers_.push_back({file.read(l, "q_proj.weight", {H * r, D}),
                       file.read(l, "k_proj.weight", {H * r, D}),
                       file.read(l, "v_proj.weight", {H * r, D}),
                       file.read(l, "o_proj.weight", {H, r}), file.read(l, "o_proj.bias", {H})});
  }
  model_ = {n_layers, H, /*n_query_heads=*/0, D};
}

void AttentionGates::require_model(const ModelShape& model) const {
  require_gates_of(path_, model_, model);
}

AttentionGates::Layer AttentionGates::layer_on(int64_t index, c10::Device device) const {
  const std::scoped_lock lock(mutex_);
  Layer& layer = layers_.at(static_cast<size_t>(index));
  for (at::Tensor* tensor :
       {&layer.q_weight, &layer.k_weight, &layer.v_weight, &layer.o_weight, &layer.o_bias}) {
    *tensor = tensor->to(device);
  }
  return layer;
}

at::Tensor AttentionGates::scores(int64_t index, const at::Tensor& hidden_states) const {
  constexpr int64_t kBlock = 256;  // tokens: [H, T] weights of each are at hand at once
  const Layer layer = layer_on(index, hidden_states.device());
  const int64_t H = layer.o_weight.size(0), r = layer.o_weight.size(1);
  const int64_t n_tokens = hidden_states.size(0);
  const at::Tensor x = hidden_states.to(at::kFloat);
  const auto heads = [&](const at::Tensor& weight) {  // [H, T, r]
    return at::mm(x, weight.t()).view({n_tokens, H, r}).transpose(0, 1).contiguous();
  };
  const at::Tensor q = heads(layer.q_weight) / std::sqrt(static_cast<double>(r));
  const at::Tensor k = heads(layer.k_weight).transpose(1, 2), v = heads(layer.v_weight);
  at::Tensor scores = at::empty({H, n_tokens}, x.options());
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    const at::Tensor seen =
        at::bmm(at::bmm(q.narrow(1, first, n), k).softmax(-1), v) + v.narrow(1, first, n);
    const at::Tensor logits =
        (seen * layer.o_weight.unsqueeze(1)).sum(-1) + layer.o_bias.unsqueeze(1);
    scores.narrow(1, first, n).copy_(logits.sigmoid());
  }
  return scores;
}

}  // namespace kvbench
