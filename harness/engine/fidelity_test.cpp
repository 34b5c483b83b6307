#include "harness/engine/fidelity.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"

namespace kvbench {
namespace {

TEST(Fidelity, ByHand) {
  // Two steps: equal distributions, then (3/4, 1/4) against (1/2, 1/2).
  const auto full = at::tensor({0.5F, 0.5F, 0.75F, 0.25F}).view({2, 2}).log();
  const auto cut = at::tensor({0.5F, 0.5F, 0.5F, 0.5F}).view({2, 2}).log();
  const double kl = 0.75 * std::log(1.5) + 0.25 * std::log(0.5);
  EXPECT_NEAR(compare(full, cut).kl, kl / 2, 1e-6);
  EXPECT_NEAR(compare(full, full).kl, 0, 1e-9);
  EXPECT_EQ(compare(full, full).top1, 1);
  const auto other = at::tensor({0.1F, 0.9F, 0.9F, 0.1F}).view({2, 2}).log();
  const auto one_each = at::tensor({0.9F, 0.1F, 0.9F, 0.1F}).view({2, 2}).log();
  EXPECT_EQ(compare(other, one_each).top1, 0.5);
}

TEST(Fidelity, TheFullCacheAgreesWithItsOwnContinuation) {
  const Decoder model(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama31",
                      at::kFloat, at::kCPU);
  std::vector<int32_t> context;
  for (int i = 0; i < 120; ++i) context.push_back((i * 29 + 3) % 96);
  const std::vector<int32_t> question = {4, 5, 6};
  const Policy full(parse_policy_text("full")), random(parse_policy_text("random"));
  Compressed made = compress_context(model, context, {{&full, 0}, {&random, 0.9}}, {});
  const GrowingCache whole = made.caches[0].growing();
  const auto said = generate(model, {whole}, question, {10, {}})[0].tokens;
  whole.cache->rewind();
  const auto forced = forced_log_probs(model, whole, question, said);
  ASSERT_EQ(forced.size(0), 10);
  for (int64_t i = 0; i < 10; ++i) EXPECT_EQ(forced[i].argmax().item<int64_t>(), said[i]);
  const auto cut = forced_log_probs(model, made.caches[1].growing(), question, said);
  EXPECT_GT(compare(forced, cut).kl, 1e-3);
}

TEST(Fidelity, LikelihoodIsThatOfAllStepsAtOnce) {
  const Decoder model(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/llama31",
                      at::kFloat, at::kCPU);
  std::vector<int32_t> context, said;
  for (int i = 0; i < 50; ++i) context.push_back((i * 29 + 3) % 96);
  for (int i = 0; i < 300; ++i) said.push_back((i * 31 + 7) % 96);  // blocks of 1, 128, 128 and 43
  const Policy full(parse_policy_text("full"));
  Compressed made = compress_context(model, context, {{&full, 0}}, {});
  const GrowingCache whole = made.caches[0].growing();
  for (const auto& question : {std::vector<int32_t>{4, 5}, std::vector<int32_t>{}}) {
    for (const size_t n : {1, 2, 129, 130, 300}) {
      const std::vector<int32_t> some(said.begin(), said.begin() + static_cast<ptrdiff_t>(n));
      const at::Tensor forced = forced_log_probs(model, whole, question, some);
      double want = 0;
      for (size_t i = 0; i < n; ++i) {
        want -= forced[static_cast<int64_t>(i)][some[i]].item<double>() / static_cast<double>(n);
      }
      EXPECT_NEAR(mean_nll(model, whole, question, some), want, 1e-5) << n;
    }
  }
}

}  // namespace
}  // namespace kvbench
