// Models of which some layers have a sliding window: policies budget the others, and a windowed
// layer holds what its window sees, whatever the policy.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/observed_context.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 20;

class WindowedLayers : public testing::TestWithParam<std::string> {
 protected:
  WindowedLayers()
      : model_(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata" / GetParam(),
               at::kFloat, at::kCPU) {
    for (int64_t i = 0; i < kTokens; ++i) context_.push_back(static_cast<int32_t>(i * 37 % 96));
  }

  Compressed cut(const Policy& policy, double ratio) const {
    CompressOptions options;
    options.keep_prefill = policy.chunk() == 0;
    Compressed made = compress_context(model_, context_, {{&policy, ratio}}, options);
    EXPECT_EQ(made.caches[0].error, "");
    return made;
  }
  int64_t budgeted() const { return model_.config().n_budgeted_layers(); }
  int64_t window() const {
    return *std::max_element(model_.config().windows.begin(), model_.config().windows.end());
  }
  void expect_windows_hold_what_they_see(const KvCache& cache) const {
    ASSERT_GT(cache.n_layers(), budgeted());
    for (int64_t slot = budgeted(); slot < cache.n_layers(); ++slot) {
      for (const auto length : cache.layer(slot).lengths) EXPECT_EQ(length, window() - 1);
    }
  }
  std::vector<int32_t> answer(const CompressedCache& cache) const {
    return generate(model_, {cache.growing()}, {5, 6, 7}, {5, {}})[0].tokens;
  }

  Decoder model_;
  std::vector<int32_t> context_;
};

TEST_P(WindowedLayers, OnlyTheOthersAreBudgeted) {
  const Policy policy(parse_policy_text("{scorer: knorm, allocator: uniform}"));
  const Compressed made = cut(policy, 0.5);
  const KvCache& cache = *made.caches[0].cache;
  EXPECT_EQ(made.caches[0].keep_counts,
            std::vector<int32_t>(budgeted() * model_.config().n_kv_heads, kTokens / 2));
  expect_windows_hold_what_they_see(cache);
}

TEST_P(WindowedLayers, TheFullCacheIsCountedAsItIs) {
  const Policy full(parse_policy_text("full"));
  const Compressed made = cut(full, 0);
  EXPECT_EQ(made.caches[0].cache->bytes_logical(), model_.kv_bytes(kTokens));
  expect_windows_hold_what_they_see(*made.caches[0].cache);
}

// Whole, in chunks that evict next to nothing, and from a prefill that was kept: one answer, and
// that of the model without any cache.
TEST_P(WindowedLayers, AnswersAreThoseOfTheWholeModel) {
  const Policy full(parse_policy_text("full"));
  const Policy chunked(
      parse_policy_text("{scorer: keydiff, allocator: uniform, prefill: {chunk: 4}}"));
  const Compressed whole = cut(full, 0);
  std::vector<int32_t> want, text = context_;
  for (const int32_t id : {5, 6, 7}) text.push_back(id);
  for (int64_t i = 0; i < 5; ++i) {
    const at::Tensor logits = model_.prefill(text, [](const LayerView&) {});
    want.push_back(static_cast<int32_t>(logits.argmax().item<int64_t>()));
    text.push_back(want.back());
  }
  EXPECT_EQ(answer(whole.caches[0]), want);
  CompressOptions options;
  const auto again = compress_prefilled(model_, whole.prefilled, {{&full, 0}}, options);
  EXPECT_EQ(answer(again[0]), want);
  const Compressed in_chunks = cut(chunked, 1e-9);
  expect_windows_hold_what_they_see(*in_chunks.caches[0].cache);
}

TEST_P(WindowedLayers, OraclesSeeTheBudgetedOnes) {
  const Policy full(parse_policy_text("full"));
  const Compressed whole = cut(full, 0);
  ObservedContext context(model_, whole.prefilled.layers, lukv::OracleNorm::kLayer);
  const auto next = [](int64_t, const at::Tensor& logits) {
    return logits.argmax().item<int64_t>();
  };
  const auto importance = ObservedContext::importance({{&context, {5, 6}, next}}, 3);
  EXPECT_EQ(importance.at(0).sizes(),
            (std::vector<int64_t>{budgeted(), model_.config().n_kv_heads, kTokens}));
}

INSTANTIATE_TEST_SUITE_P(Models, WindowedLayers, testing::Values("gemma3_text", "qwen2_window"),
                         [](const auto& name) { return name.param; });

// Every layer windowed: all are budgeted, and prompts stay within the window.
TEST(WindowedThroughout, AllLayersAreBudgeted) {
  const Decoder model(
      std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/mistral_window",
      at::kFloat, at::kCPU);
  EXPECT_EQ(model.config().n_budgeted_layers(), model.config().n_layers);
  EXPECT_EQ(model.config().most_tokens(), 7);
  EXPECT_EQ(model.kv_bytes(5), 5 * model.kv_bytes(1));
  const Policy policy(parse_policy_text("{scorer: knorm, allocator: uniform}"));
  const Compressed made = compress_context(model, {1, 2, 3, 4}, {{&policy, 0.5}}, {});
  EXPECT_EQ(made.caches[0].keep_counts,
            std::vector<int32_t>(model.config().n_layers * model.config().n_kv_heads, 2));
}

}  // namespace
}  // namespace kvbench
