#include "policies/gates/gates.h"

#include <ATen/ATen.h>

#include <cmath>

namespace kvbench {
namespace {

// Over the last dimension.
at::Tensor rms_norm(const at::Tensor& values, const at::Tensor& weight) {
  constexpr double kEpsilon = 1e-6;
  return values * (values.square().mean(-1, /*keepdim=*/true) + kEpsilon).rsqrt() * weight;
}

}  // namespace

GateLayers Gates::read(const GateFile& file) {
  const auto k_base = file.shape("k_base", 4);
  const int64_t H = k_base[0], S = k_base[2], r = k_base[3];
  const int64_t G = file.shape("b", 3)[2];
  const int64_t D = file.shape("k_proj.weight", 2)[1];
  const GateLayers::Shapes shapes = {{"q_proj.weight", {H * G * r, D}},
                                     {"q_proj.bias", {H * G * r}},
                                     {"k_proj.weight", {H * r, D}},
                                     {"q_norm.weight", {r}},
                                     {"k_norm.weight", {r}},
                                     {"k_base", {H, 1, S, r}},
                                     {"b", {H, 1, G}}};
  return {file, shapes, {.n_kv_heads = H, .n_query_heads = H * G, .hidden_size = D}};
}

at::Tensor Gates::scores(int64_t index, const at::Tensor& hidden_states, int64_t first_head,
                         int64_t n_heads, double bias_times) const {
  constexpr int64_t kBlock = 1024;  // tokens: [H, G, S] values of each are at hand at once
  const GateLayers::Layer layer = layers_.on(index, hidden_states.device());
  const int64_t S = layer.at("k_base").size(2), r = layer.at("k_base").size(3);
  const int64_t G = layer.at("b").size(2);
  const int64_t n_tokens = hidden_states.size(0);
  const double scale = 1 / std::sqrt(static_cast<double>(r));
  const auto of_heads = [&](const char* tensor, int64_t rows_each) {
    return layer.at(tensor).narrow(0, first_head * rows_each, n_heads * rows_each);
  };
  const at::Tensor q_weight = of_heads("q_proj.weight", G * r).t(),
                   q_bias = of_heads("q_proj.bias", G * r),
                   k_weight = of_heads("k_proj.weight", r).t();
  const at::Tensor k_base = of_heads("k_base", 1).view({n_heads, S, r}).transpose(1, 2);
  const at::Tensor b = of_heads("b", 1);  // [H, 1, G]
  at::Tensor scores = at::empty({n_heads, n_tokens}, b.options());
  for (int64_t first = 0; first < n_tokens; first += kBlock) {
    const int64_t n = std::min(kBlock, n_tokens - first);
    const at::Tensor x = hidden_states.narrow(0, first, n).to(at::kFloat);
    // [n, H, G, r] and [n, H, 1, r], then heads first
    const at::Tensor q =
        rms_norm(at::addmm(q_bias, x, q_weight).view({n, n_heads, G, r}), layer.at("q_norm.weight"))
            .transpose(0, 1);
    const at::Tensor k =
        rms_norm(at::mm(x, k_weight).view({n, n_heads, 1, r}), layer.at("k_norm.weight"))
            .transpose(0, 1);
    const at::Tensor logit = (q * k).sum(-1) * scale + b * bias_times;  // [H, n, G]
    const at::Tensor base =
        at::bmm(q.reshape({n_heads, n * G, r}), k_base).view({n_heads, n, G, S}) * scale;
    const at::Tensor others = (base - logit.unsqueeze(-1)).exp().sum(-1);
    scores.narrow(1, first, n).copy_((others + 1).reciprocal().mean(-1));
  }
  return scores;
}

}  // namespace kvbench
