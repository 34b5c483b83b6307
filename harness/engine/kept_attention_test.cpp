// A prefill that attends to what it keeps, against plain loops over masked weights.
#include "harness/engine/kept_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "harness/base/test_util.h"
#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/test_gates.h"
#include "harness/engine/tiny_model.h"
#include "kernels/causal_attention/causal_attention_torch.h"

namespace kvbench {
namespace {

LayerView some_layer(int64_t n_tokens) {
  at::manual_seed(3);
  LayerView layer;
  layer.keys = at::randn({2, n_tokens, 8});
  layer.values = at::randn({2, n_tokens, 8});
  layer.queries = at::randn({6, n_tokens, 8});
  layer.attention_scale = 0.4;
  return layer;
}

// [T, Hq, d] in double, from a mask [H, T] of what is kept.
at::Tensor plainly(const LayerView& layer, const at::Tensor& is_kept) {
  const int64_t n_tokens = layer.n_tokens();
  const auto spread = [](const at::Tensor& of_heads) {
    return of_heads.to(at::kDouble).repeat_interleave(3, 0);
  };
  const at::Tensor logits =
      at::matmul(layer.queries.to(at::kDouble), spread(layer.keys).transpose(1, 2)) *
      layer.attention_scale;
  const at::Tensor causal = at::ones({n_tokens, n_tokens}, at::kBool).tril();
  const at::Tensor seen = causal.logical_and(
      is_kept.repeat_interleave(3, 0).unsqueeze(1).logical_or(at::eye(n_tokens, at::kBool)));
  return at::matmul(logits.masked_fill(~seen, -std::numeric_limits<double>::infinity()).softmax(-1),
                    spread(layer.values))
      .transpose(0, 1);
}

double worst(const at::Tensor& got, const at::Tensor& want) {
  EXPECT_EQ(got.sizes(), want.sizes());
  return (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>();
}

// Heads of different counts, one of which keeps none of the first tokens; more than one block.
TEST(KeptAttention, SeesWhatIsKeptAndItself) {
  for (const int64_t n_tokens : {1, 7, 256, 600}) {
    const LayerView layer = some_layer(n_tokens);
    for (const double share : {0.05, 0.6}) {
      at::Tensor is_kept = at::rand({2, n_tokens}) < share;
      is_kept[0].narrow(0, 0, n_tokens / 2).fill_(0);
      is_kept[0][n_tokens - 1] = 1;
      is_kept[1][0] = 1;
      KeptTokens kept{{}, {0}};
      for (int64_t h = 0; h < 2; ++h) {
        for (int64_t t = 0; t < n_tokens; ++t) {
          if (is_kept[h][t].item<bool>()) kept.positions.push_back(t);
        }
        kept.offsets.push_back(std::ssize(kept.positions));
      }
      EXPECT_LT(worst(kept_attention(layer, kept), plainly(layer, is_kept)), 1e-5) << n_tokens;
    }
  }
}

TEST(KeptAttention, OfEverythingIsCausalAttention) {
  const LayerView layer = some_layer(300);
  const at::Tensor causal =
      causal_attention(layer.queries, layer.keys, layer.values, layer.attention_scale, 0);
  EXPECT_LT(worst(kept_attention(layer, keep_all(2, 300, at::kCPU).on_host()), causal), 1e-5);
}

class AttendsKept : public testing::Test {
 protected:
  CompressedCache cut(const std::string& allocator, double ratio, const std::string& prefill,
                      int64_t n_tokens = 150) {
    policies_.push_back(std::make_unique<Policy>(
        parse_policy_text(fmt::format("{{scorer: {}, allocator: {}, prefill: {}}}",
                                      scorer_text("attention_gate", gates_), allocator, prefill))));
    CompressOptions options;
    options.keep_positions = true;
    Compressed made = compress_context(tiny_model(), some_tokens(n_tokens),
                                       {{policies_.back().get(), ratio}}, options);
    EXPECT_EQ(made.caches[0].error, "");
    return std::move(made.caches[0]);
  }

  std::filesystem::path gates_ = write_test_gates("attends_kept", tiny_model().config());
  std::vector<std::unique_ptr<Policy>> policies_;
};

constexpr const char* kKept = "{attend: kept}";

// The first layer is scored before any attention, so it keeps the same; from then on the prefill is
// another one.
TEST_F(AttendsKept, ChangesTheLayersBehind) {
  const CompressedCache kept = cut("uniform", 0.6, kKept), all = cut("uniform", 0.6, "{}");
  EXPECT_EQ(kept.kept[0].positions, all.kept[0].positions);
  EXPECT_TRUE(at::equal(kept.cache->layer(0).keys, all.cache->layer(0).keys));
  EXPECT_NE(kept.kept[1].positions, all.kept[1].positions);
  EXPECT_FALSE(at::equal(kept.last_logits, all.last_logits));
  EXPECT_EQ(kept.keep_counts, all.keep_counts);
  EXPECT_EQ(kept.cache->bytes_allocated(), all.cache->bytes_allocated());
}

// Gates that are all open flag nothing: the prefill of the full cache, but for the order of sums.
TEST_F(AttendsKept, OpenGatesAreTheFullPrefill) {
  const CompressedCache open = cut("{name: threshold, value: 0}", 0.5, kKept);
  for (const auto count : open.keep_counts) EXPECT_EQ(count, 150);
  const at::Tensor full = tiny_model().prefill(some_tokens(150), [](const LayerView&) {});
  EXPECT_LT(worst(open.last_logits, full), 1e-4);
  const CompressedCache zero = cut("{name: threshold, value: 0.5}", 0, kKept);
  EXPECT_TRUE(at::equal(zero.last_logits, full));
}

TEST_F(AttendsKept, AnswersAfterAnyLength) {
  for (int64_t n_tokens = 1; n_tokens <= 64; ++n_tokens) {
    for (const double ratio : {0.0, 0.5, 0.9, 0.99}) {
      CompressedCache made = cut("{name: threshold, value: 0.5}", ratio, kKept, n_tokens);
      const auto answer = generate(tiny_model(), {made.growing()}, {5}, {2, {}})[0];
      ASSERT_EQ(answer.error, "") << n_tokens;
      ASSERT_EQ(answer.tokens.size(), 2u) << n_tokens;
    }
  }
}

TEST_F(AttendsKept, OtherPoliciesKeepTheirSharedPrefill) {
  const Policy keydiff(parse_policy_text("keydiff"));
  const Policy kept(parse_policy_text("{scorer: knorm, allocator: ada, prefill: {attend: kept}}"));
  const std::vector<PolicyAtRatio> both = {{&kept, 0.5}, {&keydiff, 0.5}};
  const Compressed together = compress_context(tiny_model(), some_tokens(90), both, {});
  const Compressed alone = compress_context(tiny_model(), some_tokens(90), {both[1]}, {});
  EXPECT_EQ(together.caches[1].keep_counts, alone.caches[0].keep_counts);
  EXPECT_TRUE(at::equal(together.caches[1].last_logits, alone.caches[0].last_logits));
  EXPECT_FALSE(at::equal(together.caches[0].last_logits, alone.caches[0].last_logits));
}

TEST(AttendsKeptRefusal, WhatIsKnownTooLate) {
  for (const char* text :
       {"{scorer: knorm, allocator: global, prefill: {attend: kept}}",
        "{scorer: kvzip, allocator: uniform, prefill: {attend: kept}}",
        "{scorer: oracle, allocator: uniform, prefill: {attend: kept}}",
        "{scorer: keydiff, allocator: uniform, prefill: {attend: kept, chunk: 8}}"}) {
    EXPECT_NE(
        error_of([&] { Policy(parse_policy_text(text)); }).find("attend: expected all beside"),
        std::string::npos)
        << text;
  }
  EXPECT_NE(error_of([] {
              Policy(parse_policy_text(
                  "{scorer: knorm, allocator: uniform, prefill: {attend: kept}, decode: {when: "
                  "held, interval: 16, budget: 64}}"));
            }).find("expected overflow or interval"),
            std::string::npos);
}

}  // namespace
}  // namespace kvbench
