#include "policies/draws.h"

#include <ATen/ATen.h>
#include <Random123/philox.h>

#include <limits>

namespace kvbench {

at::Tensor uniform_draws(const LayerView& layer, uint64_t seed, bool unified) {
  const int64_t n_heads = layer.n_kv_heads(), n_tokens = layer.n_tokens();
  const r123::Philox4x32::key_type key = {
      {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
  at::Tensor draws = at::empty({n_heads, n_tokens}, at::kDouble);
  auto* draw = draws.mutable_data_ptr<double>();
  r123::Philox4x32 generator;
  for (int64_t h = 0; h < n_heads; ++h) {
    for (int64_t t = 0; t < n_tokens; ++t) {
      const int64_t head = unified ? 0 : layer.head + h;
      const r123::Philox4x32::ctr_type counter = {
          {static_cast<uint32_t>(layer.position(h, t)), static_cast<uint32_t>(layer.step),
           static_cast<uint32_t>(layer.index), static_cast<uint32_t>(head)}};
      const uint64_t bits = generator(counter, key)[0];
      *draw++ = (static_cast<double>(bits) + 0.5) * 0x1p-32;
    }
  }
  return draws;
}

at::Tensor draw_keys(const at::Tensor& weights, const at::Tensor& uniform) {
  const at::Tensor race = uniform.log().neg().log().neg().to(weights.device(), at::kFloat);
  // -inf where the weight is 0: a finite number, that scores may be compared with.
  return (weights.log() + race).clamp_min(-std::numeric_limits<float>::max());
}

}  // namespace kvbench
