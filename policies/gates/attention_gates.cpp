#include "policies/gates/attention_gates.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace kvbench {

GateLayers AttentionGates::read(const GateFile& file) {
  const auto o_weight = file.shape("o_proj.weight", 2);
  const int64_t H = o_weight[0], r = o_weight[1], D = file.shape("k_proj.weight", 2)[1];
  const GateLayers::Shapes shapes = {{"q_proj.weight", {H * r, D}},
                                     {"k_proj.weight", {H * r, D}},
                                     {"v_proj.weight", {H * r, D}},
                                     {"o_proj.weight", {H, r}},
                                     {"o_proj.bias", {H}}};
  return {file, shapes, {.n_kv_heads = H, .hidden_size = D}};
}

at::Tensor AttentionGates::scores(int64_t index, const at::Tensor& hidden_states) const {
  constexpr int64_t kBlock = 256;  // tokens: [H, T] weights of each are at hand at once
  const GateLayers::Layer layer = layers_.on(index, hidden_states.device());
  const at::Tensor o_weight = layer.at("o_proj.weight"), o_bias = layer.at("o_proj.bias");
  const int64_t H = o_weight.size(0), r = o_weight.size(1);
  const int64_t n_tokens = hidden_states.size(0);
  const at::Tensor x = hidden_states.to(at::kFloat);
  const auto heads = [&](const at::Tensor& weight) {  // [H, T, r]
    return at::mm(x, weight.t()).view({n_tokens, H, r}).transpose(0, 1).contiguous();
  };
  const at::Tensor q = heads(layer.at("q_proj.weight")) / std::sqrt(static_cast<double>(r));
  const at::Tensor k = heads(layer.at("k_proj.weight")).transpose(1, 2);
  const at::Tensor v = heads(layer.at("v_proj.weight"));
  at::Tensor scores = at::empty({H, n_tokens}, x.options());
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    const at::Tensor seen =
        at::bmm(at::bmm(q.narrow(1, first, n), k).softmax(-1), v) + v.narrow(1, first, n);
    const at::Tensor logits = (seen * o_weight.unsqueeze(1)).sum(-1) + o_bias.unsqueeze(1);
    scores.narrow(1, first, n).copy_(logits.sigmoid());
  }
  return scores;
}

}  // namespace kvbench
