#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "policies/reconstruction.h"
#include "policies/scorers/testing.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 12;

ContextFrame frame(int64_t n_head) {
  return {n_head, {7}, [](const std::string&) { return std::vector<int32_t>{1, 2}; }};
}

// Two layers of a context of 12 tokens, and what its passes bring.
std::vector<at::Tensor> scores(const Scorer& scorer, int64_t n_head) {
  const std::vector<int32_t> context(kTokens, 3);
  const auto made = scorer.reconstruct(context, frame(n_head));
  LayerView layer = testing::random_view(kTokens);
  for (layer.index = 0; layer.index < 2; ++layer.index) made->add_layer(layer);
  const auto passes = made->passes();
  for (size_t i = 0; i < passes.size(); ++i) {
    const auto n = std::ssize(passes[i]);
    for (int64_t l = 0; l < 2; ++l) {
      LayerView seen = testing::random_view(kTokens + n);
      seen.index = l;
      seen.queries = seen.queries.narrow(1, kTokens, n);
      made->observe(i, seen, at::ones({n, 4}));
    }
  }
  return made->scores();
}

TEST(KvZip, TheHeadGoesFirstUnlessItIsKept) {
  const auto gone = scores(*testing::scorer("kvzip", {{"chunk_size", "4"}}), 6);
  ASSERT_EQ(gone.size(), 2u);
  const at::Tensor kept = scores(*testing::scorer("kvzip", {{"keep_head", "true"}}), 6)[0];
  const auto part = [](const at::Tensor& x, int64_t first, int64_t n) { return x.narrow(1, first, n); };
  EXPECT_GT(part(gone[0], 0, 4).min().item<float>(), part(gone[0], 4, 8).max().item<float>());
  EXPECT_EQ(part(gone[0], 4, 2).abs().max().item<float>(), 0);  // never scored
  EXPECT_GT(part(gone[0], 6, 6).min().item<float>(), 0);
  EXPECT_GT(part(kept, 0, 6).min().item<float>(), part(kept, 6, 6).max().item<float>());
}

TEST(KvZip, PlusIsAnotherRanking) {
  const auto plain = scores(*testing::scorer("kvzip"), 0);
  const auto plus = scores(*testing::scorer("kvzip", {{"normalization", "plus"}}), 0);
  EXPECT_FALSE(at::allclose(plain[0].narrow(1, 4, 8), plus[0].narrow(1, 4, 8)));
}

TEST(KvZip, RefusesToRankWithoutItsPass) {
  try {
    testing::scorer("kvzip")->score(testing::random_view(kTokens));
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "kvzip: ranks a whole context by a second pass over it, and there was none");
  }
  EXPECT_THROW(testing::scorer("kvzip", {{"chunk_size", "0"}}), InputError);
  EXPECT_FALSE(testing::scorer("kvzip")->decode_needs());
}

}  // namespace
}  // namespace kvbench
