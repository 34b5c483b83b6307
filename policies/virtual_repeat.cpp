#include "policies/virtual_repeat.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "kernels/peak_attention/peak_attention_torch.h"

namespace kvbench {
namespace {

// x [Hq, m, d] after RoPE as it would be `delta` positions later.
at::Tensor turned(const at::Tensor& x, const at::Tensor& inverse_frequencies, int64_t delta) {
  const at::Tensor angles = inverse_frequencies.to(at::kFloat) * static_cast<double>(delta);
  const at::Tensor cos = angles.cos(), sin = angles.sin();  // [d / 2]
  const auto halves = x.to(at::kFloat).chunk(2, -1);        // pairs (i, i + d / 2)
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1)
      .to(x.scalar_type());
}

}  // namespace

at::Tensor virtual_repeat_scores(const LayerView& layer, const Repeat& repeat, int64_t sinks) {
  const int64_t n = repeat.end - repeat.begin;
  const at::Tensor queries = layer.queries.narrow(1, repeat.begin, n);
  const at::Tensor chunk = layer.keys.narrow(1, repeat.begin, n);
  const int64_t delta = layer.n_tokens() + repeat.n_before() - repeat.begin;
  return peak_attention(turned(queries, layer.inverse_frequencies, delta), queries,
                        layer.keys.narrow(1, 0, std::min(sinks, repeat.begin)), chunk, chunk,
                        layer.attention_scale);
}

at::Tensor quantile_map(const at::Tensor& source, const at::Tensor& target,
                        const at::Tensor& values) {
  const at::Tensor from = std::get<0>(source.sort(-1)), to = std::get<0>(target.sort(-1));
  const int64_t m = from.size(1);
  if (m == 1) return to.expand_as(values);
  const at::Tensor x =
      at::minimum(at::maximum(values, from.narrow(1, 0, 1)), from.narrow(1, m - 1, 1));
  const at::Tensor upper = at::searchsorted(from, x).clamp(1, m - 1), lower = upper - 1;
  const at::Tensor x0 = from.gather(1, lower), x1 = from.gather(1, upper);
  const at::Tensor y0 = to.gather(1, lower), y1 = to.gather(1, upper);
  // Where two of the source are one, anything between their targets would do.
  const at::Tensor share = ((x - x0) / (x1 - x0).clamp_min(1e-12)).clamp(0, 1);
  return y0 + share * (y1 - y0);
}

}  // namespace kvbench
