#include "harness/model/rope.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace kvbench {
namespace {

using Type = RopeScaling::Type;

// 2i / d, i in [0, d/2).
at::Tensor exponents(int64_t d) { return at::arange(0, d, 2, at::kFloat) / static_cast<double>(d); }

at::Tensor plain_frequencies(const at::Tensor& theta, int64_t d) {
  return 1.0 / at::pow(theta, exponents(d));
}

at::Tensor float_scalar(double value) { return at::scalar_tensor(value, at::kFloat); }

// theta as the sequence has grown it, float32 [].
at::Tensor dynamic_theta(const ModelConfig& config, int64_t sequence_length) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto d = static_cast<double>(config.head_dim);
  const auto positions = static_cast<double>(scaling.original_max_positions);
  const double power = d / (d - 2);
  if (sequence_length <= scaling.original_max_positions) {
    const double growth = scaling.factor * positions / positions - (scaling.factor - 1);
    return float_scalar(config.rope_theta * std::pow(growth, power));
  }
  // transformers holds the length in a tensor there, so all of it is float32.
  const at::Tensor growth =
      at::scalar_tensor(sequence_length, at::kLong) * scaling.factor / positions -
      (scaling.factor - 1);
  return config.rope_theta * at::pow(growth, power);
}

at::Tensor yarn_frequencies(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const auto d = static_cast<double>(config.head_dim);
  const auto original = static_cast<double>(scaling.original_max_positions);
  // The dimension whose wave turns so often within the original positions.
  const auto dimension = [&](double rotations) {
    return d * std::log(original / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(config.rope_theta));
  };
  double low = dimension(scaling.beta_fast), high = dimension(scaling.beta_slow);
  if (scaling.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  const at::Tensor ramp =
      at::clamp((at::arange(config.head_dim / 2, at::kFloat) - low) / (high - low), 0, 1);
  const at::Tensor unchanged = 1 - ramp;
  const at::Tensor powers = at::pow(float_scalar(config.rope_theta), exponents(config.head_dim));
  return 1.0 / (scaling.factor * powers) * (1 - unchanged) + 1.0 / powers * unchanged;
}

at::Tensor llama3_frequencies(const RopeScaling& scaling, const at::Tensor& plain) {
  const auto original = static_cast<double>(scaling.original_max_positions);
  const double longest = original / scaling.low_freq_factor;
  const double shortest = original / scaling.high_freq_factor;
  const at::Tensor wavelengths = 2 * std::numbers::pi / plain;
  const at::Tensor smooth = (original / wavelengths - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended = (1 - smooth) * plain / scaling.factor + smooth * plain;
  return at::where(wavelengths > longest, plain / scaling.factor,
                   at::where(wavelengths < shortest, plain, blended));
}

}  // namespace

at::Tensor inverse_frequencies(const ModelConfig& config, bool local, int64_t sequence_length) {
  const int64_t d = config.head_dim;
  if (local) return plain_frequencies(float_scalar(config.local_rope_theta), d);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.type == Type::kDynamic) {
    return plain_frequencies(dynamic_theta(config, sequence_length), d);
  }
  if (scaling.type == Type::kYarn) return yarn_frequencies(config);
  const at::Tensor plain = plain_frequencies(float_scalar(config.rope_theta), d);
  if (scaling.type == Type::kLinear) return plain / scaling.factor;
  if (scaling.type == Type::kLlama3) return llama3_frequencies(scaling, plain);
  return plain;
}

at::Tensor inverse_frequencies(const ModelConfig& config, bool local, const at::Tensor& positions) {
  if (local || config.rope_scaling.type != Type::kDynamic) {
    return inverse_frequencies(config, local, int64_t{0});
  }
  const at::Tensor last = positions.amax(1).to(at::kCPU);
  std::vector<at::Tensor> rows;
  for (int64_t s = 0; s < last.size(0); ++s) {
    rows.push_back(inverse_frequencies(config, local, last[s].item<int64_t>() + 1));
  }
  return at::stack(rows);
}

double rope_attention_factor(const ModelConfig& config) {
  return config.rope_scaling.attention_factor;
}

RopeAngles rope_angles(const at::Tensor& positions, const at::Tensor& inverse_frequencies,
                       double attention_factor) {
  const at::Tensor where = positions.to(at::kCPU).contiguous();
  const int64_t S = where.size(0), m = where.size(1), pairs = inverse_frequencies.size(-1);
  const at::Tensor frequencies = inverse_frequencies.to(at::kCPU).contiguous();
  const bool of_sequences = frequencies.dim() == 2;
  RopeAngles angles = {at::empty({S, m, 1, pairs}, at::kFloat),
                       at::empty({S, m, 1, pairs}, at::kFloat)};
  const auto* position = where.const_data_ptr<int64_t>();
  const auto* frequency = frequencies.const_data_ptr<float>();
  auto* cos = angles.cos.mutable_data_ptr<float>();
  auto* sin = angles.sin.mutable_data_ptr<float>();
  const auto factor = static_cast<float>(attention_factor);
  for (int64_t row = 0; row < S * m; ++row) {
    const float* of_sequence = frequency + (of_sequences ? row / m * pairs : 0);
    for (int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<float>(position[row]) * of_sequence[i];
      cos[row * pairs + i] = static_cast<float>(std::cos(angle)) * factor;
      sin[row * pairs + i] = static_cast<float>(std::sin(angle)) * factor;
    }
  }
  return {angles.cos.to(positions.device()), angles.sin.to(positions.device())};
}

RopeTable::RopeTable(at::Tensor inverse_frequencies, double attention_factor, c10::Device device)
    : frequencies_(std::move(inverse_frequencies)),
      attention_factor_(attention_factor),
      device_(device) {
  constexpr int64_t kFirst = 1024;
  rows_ = computed(kFirst);
}

RopeAngles RopeTable::computed(int64_t n) const {
  const auto [cos, sin] =
      rope_angles(at::arange(n, at::kLong).unsqueeze(0), frequencies_, attention_factor_);
  return {cos.view({n, -1}).to(device_), sin.view({n, -1}).to(device_)};
}

RopeAngles RopeTable::rows(int64_t end) const {
  const std::scoped_lock lock(growing_);
  const int64_t n = rows_.cos.size(0);
  if (end > n) rows_ = computed(std::max(end, 2 * n));
  return rows_;
}

}  // namespace kvbench
