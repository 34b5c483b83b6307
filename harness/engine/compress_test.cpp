// Compression on a tiny random model: budgets, shared and single prefills, and memory that is
// really freed, as the allocator sees it.
#include "harness/engine/compress.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/decode.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

const std::filesystem::path kModel =
    std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/smollm2";

std::vector<int32_t> some_tokens(int64_t n) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<int32_t>((i * 37 + i / 7) % 96));
  return tokens;
}

Policy policy(const std::string& text) { return Policy(parse_policy_text(text)); }

// Follows every CPU allocation of this thread: bytes alive now.
class AllocationMeter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    alive += size;
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t alive = 0;
};

TEST(Compress, EvictionFreesMemory) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const int64_t n_tokens = 1000;
  const Policy keydiff = policy("keydiff");
  const auto meter = std::make_shared<AllocationMeter>();
  Compressed result;
  {
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    CompressOptions options;
    result = compress_context(model, some_tokens(n_tokens), {{&keydiff, 0.8}}, options);
    result.caches[0].last_logits.reset();
  }
  const auto& config = model.config();
  const int64_t row_bytes = 2 * config.n_layers * config.n_kv_heads * config.head_dim * 4;
  const int64_t full = n_tokens * row_bytes;
  // What is still alive after the call is the cut cache: the full keys and values are gone.
  EXPECT_LE(meter->alive, full * 21 / 100);
  EXPECT_GE(meter->alive, full * 19 / 100);
  // The cache's own count is the allocator's, up to its padding of small blocks.
  EXPECT_NEAR(static_cast<double>(result.caches[0].cache->bytes_allocated()),
              static_cast<double>(meter->alive), 4096);
  EXPECT_EQ(result.caches[0].cache->bytes_logical(), 199 * row_bytes);  // trunc(1000 * (1 - 0.8))
}

TEST(Compress, OnePrefillForAllEqualsOneForEach) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const auto tokens = some_tokens(200);
  std::vector<Policy> policies;
  for (const char* text : {"full", "random", "streaming_llm", "snapkv", "keydiff"}) {
    policies.push_back(policy(text));
  }
  std::vector<PolicyAtRatio> all;
  for (const auto& p : policies) {
    for (const double ratio : {0.5, 0.9}) all.push_back({&p, ratio});
  }
  CompressOptions options;
  options.keep_positions = true;
  const std::vector<int32_t> question = {5, 6, 7};
  Compressed together = compress_context(model, tokens, all, options);
  std::vector<GrowingCache> caches;
  for (auto& c : together.caches) caches.push_back(c.growing());
  const auto answers = generate(model, caches, question, {6, {}});
  for (size_t i = 0; i < all.size(); ++i) {
    Compressed alone = compress_context(model, tokens, {all[i]}, options);
    EXPECT_EQ(alone.caches[0].keep_counts, together.caches[i].keep_counts);
    for (size_t l = 0; l < alone.caches[0].kept.size(); ++l) {
      EXPECT_EQ(alone.caches[0].kept[l].positions, together.caches[i].kept[l].positions);
    }
    const auto answer = generate(model, {alone.caches[0].growing()}, question, {6, {}});
    EXPECT_EQ(answer[0].tokens, answers[i].tokens) << all[i].policy->name();
  }
}

// What is cut later from a prefill that was kept is what would have been cut at once.
TEST(Compress, AKeptPrefillServesOtherPolicies) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const auto tokens = some_tokens(200);
  const Policy snapkv = policy("snapkv"), global = policy("{scorer: keydiff, allocator: global}");
  CompressOptions options;
  options.keep_positions = true;
  const Compressed at_once =
      compress_context(model, tokens, {{&snapkv, 0.5}, {&global, 0.8}}, options);
  options.keep_prefill = true;
  const Compressed kept = compress_context(model, tokens, {}, options);
  const auto later =
      compress_prefilled(model, kept.prefilled, {{&snapkv, 0.5}, {&global, 0.8}}, options);
  ASSERT_EQ(later.size(), 2U);
  for (size_t i = 0; i < later.size(); ++i) {
    EXPECT_EQ(later[i].error, "");
    EXPECT_EQ(later[i].keep_counts, at_once.caches[i].keep_counts);
    for (size_t l = 0; l < later[i].kept.size(); ++l) {
      EXPECT_EQ(later[i].kept[l].positions, at_once.caches[i].kept[l].positions);
    }
    EXPECT_TRUE(at::equal(later[i].last_logits, at_once.caches[i].last_logits));
    const std::vector<int32_t> question = {5, 6, 7};
    EXPECT_EQ(generate(model, {later[i].growing()}, question, {6, {}})[0].tokens,
              generate(model, {at_once.caches[i].growing()}, question, {6, {}})[0].tokens);
  }
}

TEST(Compress, RatioZeroIsTheFullCache) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const Policy full = policy("full"), snapkv = policy("snapkv");
  CompressOptions options;
  Compressed result =
      compress_context(model, some_tokens(100), {{&full, 0.0}, {&snapkv, 0.0}}, options);
  EXPECT_EQ(result.caches[0].keep_counts, result.caches[1].keep_counts);
  for (int64_t l = 0; l < 2; ++l) {
    EXPECT_TRUE(at::equal(result.caches[0].cache->layer(l).keys.narrow(0, 0, 100),
                          result.caches[1].cache->layer(l).keys.narrow(0, 0, 100)));
  }
}

TEST(Compress, AScorerThatRefusesFailsItsOwnCellsOnly) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const Policy snapkv = policy("snapkv"), keydiff = policy("keydiff");
  const Compressed result =
      compress_context(model, some_tokens(20), {{&snapkv, 0.5}, {&keydiff, 0.5}}, {});
  EXPECT_EQ(result.caches[0].error,
            "snapkv: a context of 20 tokens is too short, expected 33 or more");
  EXPECT_EQ(result.caches[0].cache, nullptr);
  EXPECT_TRUE(result.caches[1].error.empty());
  EXPECT_EQ(result.caches[1].keep_counts.size(), 2u);
}

TEST(Policies, WrongNamesAreExplained) {
  const auto error = [](const std::string& text) -> std::string {
    try {
      policy(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_NE(error("{scorer: snapvk, allocator: uniform}").find("did you mean snapkv?"),
            std::string::npos);
  EXPECT_NE(error("{scorer: snapkv, allocator: unform}").find("did you mean uniform?"),
            std::string::npos);
  EXPECT_NE(error("{scorer: {name: snapkv, windw: 3}, allocator: uniform}").find("window"),
            std::string::npos);
  EXPECT_NE(error("{scorer: snapkv, allocator: uniform, protect: {snk: 4}}").find("sink"),
            std::string::npos);
}

TEST(Generate, SequencesLeaveTheBatchAsTheyEnd) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const Policy full = policy("full"), streaming = policy("streaming_llm");
  CompressOptions options;
  const auto run = [&](const std::vector<int64_t>& end_tokens) {
    Compressed c =
        compress_context(model, some_tokens(60), {{&full, 0.0}, {&streaming, 0.9}}, options);
    return generate(model, {c.caches[0].growing(), c.caches[1].growing()}, {}, {12, end_tokens});
  };
  const auto free = run({});
  ASSERT_EQ(free[0].tokens.size(), 12u);
  // End at a token that the second sequence says in the middle, if the first does not say it.
  const auto& second = free[1].tokens;
  for (size_t i = 1; i < second.size(); ++i) {
    const auto& first = free[0].tokens;
    if (std::find(first.begin(), first.end(), second[i]) != first.end()) continue;
    if (std::find(second.begin(), second.begin() + i, second[i]) != second.begin() + i) continue;
    const auto stopped = run({second[i]});
    EXPECT_EQ(stopped[0].tokens, free[0].tokens);
    EXPECT_EQ(stopped[1].tokens, std::vector<int32_t>(second.begin(), second.begin() + i + 1));
    return;
  }
  GTEST_SKIP() << "both sequences say the same tokens";
}

}  // namespace
}  // namespace kvbench
