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

}  // namespace
}  // namespace kvbench
