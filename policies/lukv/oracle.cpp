#include "policies/lukv/oracle.h"

#include <ATen/ATen.h>

namespace kvbench::lukv {

at::Tensor value_norms(const LayerView& layer, OracleNorm norm) {
  const int64_t n_heads = layer.n_kv_heads(), d = layer.values.size(2);
  const int64_t n_query_heads = layer.output_weight.size(1) / d, group = n_query_heads / n_heads;
  std::vector<at::Tensor> norms;
  for (int64_t h = 0; h < n_heads; ++h) {
    const at::Tensor values = layer.values[h].to(at::kDouble);  // [T, d]
    for (int64_t q = h * group; q < (h + 1) * group; ++q) {
      // ||W v||^2 = v^T (W^T W) v costs d per entry of v instead of D; float64 keeps the digits.
      const at::Tensor projection = layer.output_weight.narrow(1, q * d, d).to(at::kDouble);
      const at::Tensor gram = at::mm(projection.t(), projection);  // [d, d]
      norms.push_back(at::mm(values, gram).mul_(values).sum(-1).clamp_min_(0).sqrt_());
    }
  }
  at::Tensor all = at::stack(norms);  // [Hq, T]
  if (norm == OracleNorm::kLayer) all /= all.sum() + 1e-9;
  return all.to(at::kFloat);
}

void add_decode_step(at::Tensor importance, const at::Tensor& query, const at::Tensor& keys,
                     const at::Tensor& norms, double attention_scale) {
  const int64_t n_heads = importance.size(0), n_tokens = importance.size(1);
  const at::Tensor queries =
      (query.to(at::kFloat) * attention_scale).view({n_heads, -1, query.size(1)});  // [H, G, d]
  const at::Tensor attention =
      at::bmm(queries, keys.to(at::kFloat).transpose(1, 2)).softmax(-1);  // [H, G, n]
  const at::Tensor worth = attention.narrow(2, 0, n_tokens) * norms.view({n_heads, -1, n_tokens});
  at::maximum_out(importance, importance, worth.amax(1));
}

}  // namespace kvbench::lukv
