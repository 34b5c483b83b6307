// The forward pass against transformers 5.2 on tiny random checkpoints of every family
// (testdata/README.md).
#include "harness/model/decoder.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "harness/base/error.h"
#include "harness/model/safetensors.h"

namespace kvbench {
namespace {

const std::filesystem::path kData =
    std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata";

struct Expected {
  std::vector<int32_t> tokens;
  at::Tensor logits, continuation, continuation_logits;
};

Expected load_expected(const std::string& family) {
  const Weights file(kData / family / "expected.safetensors");
  const auto tokens = file.get("token_ids", {24}, at::kInt, at::kCPU);
  Expected expected;
  expected.tokens.assign(tokens.const_data_ptr<int32_t>(), tokens.const_data_ptr<int32_t>() + 24);
  expected.logits = file.get("logits", {24, 96}, at::kFloat, at::kCPU);
  expected.continuation = file.get("continuation_ids", {4}, at::kLong, at::kCPU);
  expected.continuation_logits = file.get("continuation_logits", {4, 96}, at::kFloat, at::kCPU);
  return expected;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

// A prefill whose caches keep everything, or what a window still sees.
at::Tensor prefill_full(const Decoder& model, const std::vector<int32_t>& tokens, KvCache& cache) {
  return model.prefill(tokens, [&](const LayerView& layer) {
    if (layer.window > 0) {
      return cache.store_window(layer.index, layer.keys, layer.values, layer.window);
    }
    cache.store(layer.index, layer.keys, layer.values,
                keep_all(layer.n_kv_heads(), layer.n_tokens(), at::kCPU));
  });
}

class Family : public testing::TestWithParam<std::string> {};

// float32 sums in another order: the stored logits are within 2e-5 of a float64 run.
constexpr double kTolerance = 1e-4;

TEST_P(Family, PrefillEqualsTransformers) {
  const Decoder model(kData / GetParam(), at::kFloat, at::kCPU);
  const Expected expected = load_expected(GetParam());
  const auto logits = model.prefill(expected.tokens, [](const LayerView&) {});
  EXPECT_TRUE(largest_difference(logits, expected.logits[23]) <= kTolerance);
}

TEST_P(Family, BlockAndSingleTokensOverTheCacheEqualTransformers) {
  const Decoder model(kData / GetParam(), at::kFloat, at::kCPU);
  const Expected expected = load_expected(GetParam());
  KvCache cache(model.config().n_layers);
  prefill_full(model, {expected.tokens[0]}, cache);
  DecodeBatch batch({&cache});
  const std::vector<int64_t> rest(expected.tokens.begin() + 1, expected.tokens.end());
  const auto block =
      model.extend(at::tensor(rest, at::kLong).unsqueeze(0), batch, Decoder::Logits::kAll);
  EXPECT_TRUE(largest_difference(block[0], expected.logits.narrow(0, 1, 23)) <= kTolerance);
  auto next = block[0][22].argmax();
  for (int64_t step = 0; step < 4; ++step) {
    EXPECT_EQ(next.item<int64_t>(), expected.continuation[step].item<int64_t>());
    const auto logits = model.extend(next.view({1, 1}), batch);
    EXPECT_TRUE(largest_difference(logits[0], expected.continuation_logits[step]) <= kTolerance);
    next = logits[0].argmax();
  }
}

TEST_P(Family, HalfPrecisionsStayClose) {
  const Expected expected = load_expected(GetParam());
  for (const auto dtype : {at::kBFloat16, at::kHalf}) {
    const Decoder model(kData / GetParam(), dtype, at::kCPU);
    const auto logits = model.prefill(expected.tokens, [](const LayerView&) {});
    // Eight bits of mantissa through two layers; a missing norm, bias or band costs 0.5 or more.
    EXPECT_TRUE(largest_difference(logits, expected.logits[23]) <= 0.4)
        << largest_difference(logits, expected.logits[23]);
  }
}

// To the bit: alone or among up to 63 others, a token or a block of them, one thread or two.
TEST_P(Family, AnswersAreTheSameInAnyCompany) {
  const Expected expected = load_expected(GetParam());
  const int threads_before = at::get_num_threads();
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const Decoder model(kData / GetParam(), dtype, at::kCPU);
    for (const int64_t m : {1, 5}) {
      at::Tensor alone;
      for (const int threads : {1, 2}) {
        at::set_num_threads(threads);
        for (const int64_t n : {1, 2, 7, 19, 64}) {
          std::vector<KvCache> caches;
          std::vector<KvCache*> pointers;
          for (int64_t s = 0; s < n; ++s) {
            std::vector<int32_t> context = expected.tokens;
            if (s > 0) context.resize(context.size() - static_cast<size_t>(s % 20));
            context[0] = static_cast<int32_t>(s);
            prefill_full(model, context, caches.emplace_back(model.config().n_layers));
          }
          for (auto& cache : caches) pointers.push_back(&cache);
          DecodeBatch batch(pointers);
          const at::Tensor tokens = at::arange(m, at::kLong).unsqueeze(0);
          const at::Tensor logits = model.extend(tokens, batch)[0];
          if (!alone.defined()) alone = logits;
          EXPECT_TRUE(at::equal(logits, alone))
              << dtype << ", " << m << " tokens, " << n << " sequences, " << threads << " threads";
        }
      }
    }
  }
  at::set_num_threads(threads_before);
}

INSTANTIATE_TEST_SUITE_P(All, Family,
                         testing::Values("llama2", "llama31", "llama31_v4", "llama32_tied",
                                         "llama32_tied_sharded", "llama_bias", "smollm2", "mistral",
                                         "mistral_head_dim", "qwen2", "qwen3", "rope_linear",
                                         "rope_dynamic", "rope_yarn", "rope_yarn_mscale",
                                         "mistral_window", "qwen2_window", "qwen3_window",
                                         "gemma3_text", "gemma3"),
                         [](const auto& family) { return family.param; });

TEST(Decoder, SequencesOfABatchDoNotSeeEachOther) {
  const Decoder model(kData / "llama31", at::kFloat, at::kCPU);
  const Expected expected = load_expected("llama31");
  const auto tokens = at::tensor({5, 9}, at::kLong).view({2, 1});
  KvCache a(2), b(2), alone(2);
  prefill_full(model, expected.tokens, a);
  prefill_full(model, {1, 2, 3}, b);
  prefill_full(model, {1, 2, 3}, alone);
  DecodeBatch both({&a, &b}), one({&alone});
  const auto together = model.extend(tokens, both),
             by_itself = model.extend(tokens[1][0].view({1, 1}), one);
  EXPECT_TRUE(largest_difference(together[1], by_itself[0]) <= 1e-5);
}

TEST(Decoder, RewindForgetsTheAnswer) {
  const Decoder model(kData / "smollm2", at::kFloat, at::kCPU);
  const Expected expected = load_expected("smollm2");
  KvCache cache(2);
  prefill_full(model, expected.tokens, cache);
  const auto ask = [&](int64_t token) {
    DecodeBatch batch({&cache});
    const auto logits = model.extend(at::full({1, 1}, token, at::kLong), batch);
    cache.rewind();
    return logits;
  };
  const auto first = ask(7);
  ask(3);
  EXPECT_TRUE(at::equal(ask(7), first));
}

TEST(Decoder, RefusesBadTokens) {
  const Decoder model(kData / "llama2", at::kFloat, at::kCPU);
  const auto nothing = [](const LayerView&) {};
  EXPECT_THROW(model.prefill({}, nothing), InputError);
  EXPECT_THROW(model.prefill({96}, nothing), InputError);
  EXPECT_THROW(model.prefill({-1}, nothing), InputError);
  const std::vector<int32_t> too_long(static_cast<size_t>(model.config().max_positions) + 1, 1);
  EXPECT_THROW(model.prefill(too_long, nothing), InputError);
}

}  // namespace
}  // namespace kvbench
