#include "harness/model/rope.h"

#include <ATen/ATen.h>

#include <numbers>

namespace kvbench {

at::Tensor inverse_frequencies(const ModelConfig& config) {
  const auto float32 = at::TensorOptions(at::kFloat);
  const at::Tensor exponents =
      at::arange(0, config.head_dim, 2, float32) / static_cast<double>(config.head_dim);
  const at::Tensor plain = 1.0 / at::pow(at::scalar_tensor(config.rope_theta, float32), exponents);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.factor == 1) return plain;

  const auto original = static_cast<double>(scaling.original_max_positions);
  const at::Tensor wavelengths = 2 * std::numbers::pi / plain;
  const at::Tensor slowed = plain / scaling.factor;
  const at::Tensor smooth = (original / wavelengths - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended = (1 - smooth) * slowed + smooth * plain;
  return at::where(wavelengths > original / scaling.low_freq_factor, slowed,
                   at::where(wavelengths < original / scaling.high_freq_factor, plain, blended));
}

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.to(at::kFloat).chunk(2, -1);
  const at::Tensor &first = halves[0], &second = halves[1];
  return at::cat({first * cos - second * sin, second * cos + first * sin}, -1).to(x.scalar_type());
}

}  // namespace kvbench
