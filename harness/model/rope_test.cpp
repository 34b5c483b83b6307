// Frequencies against transformers 5.2 (testdata/README.md), angles against their definition.
#include "harness/model/rope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

ModelConfig config_of(int64_t head_dim, double theta, const RopeScaling& scaling) {
  ModelConfig config;
  config.head_dim = head_dim;
  config.max_positions = 8192;
  config.rope_theta = theta;
  config.rope_scaling = scaling;
  return config;
}

at::Tensor expected(const std::string& name, int64_t head_dim) {
  static const Weights file(std::filesystem::path(KVBENCH_TEST_ROOT) /
                            "harness/model/testdata/rope.safetensors");
  return file.get(name, {head_dim / 2}, at::kFloat, at::kCPU);
}

// The same operations in the same order; a power may round otherwise on another CPU.
void expect_equal(const at::Tensor& found, const at::Tensor& right) {
  const auto error = ((found - right).abs() / right).max().item<double>();
  EXPECT_TRUE(error <= 2.5e-7) << error;
}

TEST(InverseFrequencies, EqualThoseOfTransformers) {
  using Type = RopeScaling::Type;
  expect_equal(inverse_frequencies(config_of(64, 1e5, {}), false, 1), expected("default", 64));
  expect_equal(
      inverse_frequencies(config_of(256, 1e6, {.type = Type::kLinear, .factor = 8}), false, 1),
      expected("linear", 256));
  const auto dynamic =
      config_of(128, 1e4, {.type = Type::kDynamic, .factor = 4, .original_max_positions = 8192});
  expect_equal(inverse_frequencies(dynamic, false, 100), expected("dynamic", 128));
  expect_equal(inverse_frequencies(dynamic, false, 8192), expected("dynamic", 128));
  expect_equal(inverse_frequencies(dynamic, false, 12345), expected("dynamic_grown", 128));
  const RopeScaling yarn = {.type = Type::kYarn, .factor = 4, .original_max_positions = 8192};
  expect_equal(inverse_frequencies(config_of(128, 1e6, yarn), false, 1), expected("yarn", 128));
  const RopeScaling smooth = {
      .type = Type::kYarn, .factor = 32, .original_max_positions = 4096, .truncate = false};
  expect_equal(inverse_frequencies(config_of(64, 150000, smooth), false, 1),
               expected("yarn_not_truncated", 64));
  const RopeScaling llama3 = {.type = Type::kLlama3, .factor = 8, .original_max_positions = 8192};
  expect_equal(inverse_frequencies(config_of(128, 5e5, llama3), false, 1), expected("llama3", 128));
}

TEST(InverseFrequencies, LocalOnesAreNeverScaled) {
  auto config = config_of(64, 1e6, {.type = RopeScaling::Type::kLinear, .factor = 8});
  config.local_rope_theta = 1e5;
  expect_equal(inverse_frequencies(config, true, 1), expected("default", 64));
}

TEST(InverseFrequencies, SequencesGrowByThemselves) {
  const auto config = config_of(
      64, 1e4, {.type = RopeScaling::Type::kDynamic, .factor = 4, .original_max_positions = 10});
  const at::Tensor positions = at::tensor({3, 4, 20, 21}, at::kLong).view({2, 2});
  const at::Tensor both = inverse_frequencies(config, false, positions);
  EXPECT_TRUE(at::equal(both[0], inverse_frequencies(config, false, 5)));
  EXPECT_TRUE(at::equal(both[1], inverse_frequencies(config, false, 22)));
  EXPECT_FALSE(at::equal(both[0], both[1]));
}

TEST(RopeAngles, AreRoundedOneByOne) {
  const at::Tensor positions = at::arange(7 * 3, at::kLong).view({7, 3}) * 9973;
  const at::Tensor frequencies = inverse_frequencies(config_of(22, 1e4, {}), false, 1);
  const auto [cos, sin] = rope_angles(positions, frequencies, 1.25);
  ASSERT_EQ(cos.sizes(), (std::vector<int64_t>{7, 3, 1, 11}));
  for (int64_t s = 0; s < 7; ++s) {
    for (int64_t t = 0; t < 3; ++t) {
      for (int64_t i = 0; i < 11; ++i) {
        const float angle =
            static_cast<float>(positions[s][t].item<int64_t>()) * frequencies[i].item<float>();
        EXPECT_EQ(cos[s][t][0][i].item<float>(),
                  static_cast<float>(std::cos(static_cast<double>(angle))) * 1.25F);
        EXPECT_EQ(sin[s][t][0][i].item<float>(),
                  static_cast<float>(std::sin(static_cast<double>(angle))) * 1.25F);
      }
    }
  }
  const auto alone = rope_angles(positions.slice(0, 4, 5), frequencies, 1.25);
  EXPECT_TRUE(at::equal(alone.cos[0], cos[4]));
  EXPECT_TRUE(at::equal(alone.sin[0], sin[4]));
}

}  // namespace
}  // namespace kvbench
