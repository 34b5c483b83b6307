// Compression on a tiny random model: budgets, shared and single prefills, and memory that is
// really freed, as the allocator sees it.
#include "harness/engine/compress.h"

#include <ATen/ATen.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "harness/config/policy_yaml.h"
#include "harness/engine/generate.h"
#include "harness/engine/tiny_model.h"
#include "policies/allocator.h"
#include "policies/weighting.h"

namespace kvbench {
namespace {

const std::filesystem::path kModel =
    std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/smollm2";

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

// Nothing is removed at ratio 0, while decoding neither; a fixed number of tokens is another thing.
TEST(Compress, RatioZeroEvictsNothingWhileDecoding) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const std::vector<Policy> policies = [] {
    std::vector<Policy> all;
    for (const char* text : {"full", "{preset: snapkv, decode: {when: overflow}}", "h2o_decode",
                             "{preset: snapkv, decode: {when: overflow, budget: 40}}"}) {
      all.push_back(policy(text));
    }
    return all;
  }();
  std::vector<PolicyAtRatio> asked;
  for (const auto& p : policies) asked.push_back({&p, 0});
  const Compressed made = compress_context(model, some_tokens(100), asked, {});
  std::vector<GrowingCache> caches;
  for (const auto& cache : made.caches) caches.push_back(cache.growing());
  const auto answers = generate(model, caches, {5, 6, 7}, {12, {}});
  for (const size_t i : {1, 2}) {
    EXPECT_EQ(made.caches[i].eviction, nullptr);
    EXPECT_EQ(answers[i].tokens, answers[0].tokens);
    EXPECT_EQ(made.caches[i].cache->bytes_logical(), made.caches[0].cache->bytes_logical());
  }
  ASSERT_EQ(answers[3].error, "");
  EXPECT_EQ(made.caches[3].cache->layer(0).lengths[0], 40);
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

// What goes wrong in a layer: nothing, or an exception of some type, or a result that is none.
enum class Fault { kNone, kException, kInt, kSilent, kNaN, kShape };

void fail(Fault fault) {
  if (fault == Fault::kException) throw std::runtime_error("out of luck\nsecond line");
  if (fault == Fault::kInt) throw 7;
  if (fault == Fault::kSilent) throw std::runtime_error("");
}

// Ranks by position; `fault` in layer `layer`, in score() or in carry().
class FaultyScorer : public Scorer {
 public:
  FaultyScorer(Fault fault, int64_t layer, bool in_carry = false)
      : fault_(fault), layer_(layer), in_carry_(in_carry) {}

  at::Tensor score(const LayerView& view) const override {
    const int64_t n_tokens = view.n_tokens();
    at::Tensor scores =
        at::arange(n_tokens, at::kFloat).expand({view.n_kv_heads(), n_tokens}).clone();
    if (view.index != layer_ || in_carry_) return scores;
    fail(fault_);
    if (fault_ == Fault::kNaN) scores[-1][3] = NAN;
    return fault_ == Fault::kShape ? scores.narrow(1, 1, n_tokens - 1) : scores;
  }
  at::Tensor carry(const LayerView& view, const at::Tensor&) const override {
    if (view.index == layer_ && in_carry_) fail(fault_);
    return {};
  }
  std::optional<DecodeNeeds> decode_needs() const override { return DecodeNeeds{}; }

 private:
  Fault fault_;
  int64_t layer_;
  bool in_carry_;
};

// Half of the tokens; one count too many in layer 1, or an exception there.
class FaultyAllocator : public Allocator {
 public:
  FaultyAllocator(Fault fault, bool spans) : fault_(fault), spans_(spans) {}
  KeepCounts allocate(const LayerBudget& budget) const override {
    std::vector<int64_t> counts(budget.n_kv_heads(), budget.n_tokens() / 2);
    if (budget.layer != 1) return counts;
    fail(fault_);
    counts.back() = budget.n_tokens() + 1;
    return counts;
  }
  bool spans_layers() const override { return spans_; }

 private:
  Fault fault_;
  bool spans_;
};

class FaultyWeighting : public Weighting {
 public:
  at::Tensor weigh(const LayerView& layer, const at::Tensor& scores,
                   const std::vector<int64_t>&) const override {
    return layer.index == 1 ? at::full_like(scores, NAN) : scores;
  }
};

template <class Base, class Part, class... Args>
void add_part(const std::string& name, Args... args) {
  Registry<Base>::instance().add(
      name, [=](Params&) -> std::unique_ptr<Base> { return std::make_unique<Part>(args...); }, "",
      "");
}

TEST(Compress, WhatFailsInOnePolicyStaysThere) {
  // Registered only now: tests over all parts must not meet them.
  add_part<Scorer, FaultyScorer>("test_exception", Fault::kException, 1);
  add_part<Scorer, FaultyScorer>("test_first", Fault::kInt, 0);
  add_part<Scorer, FaultyScorer>("test_silent", Fault::kSilent, 1);
  add_part<Scorer, FaultyScorer>("test_last_nan", Fault::kNaN, 1);
  add_part<Scorer, FaultyScorer>("test_shape", Fault::kShape, 1);
  add_part<Scorer, FaultyScorer>("test_carry", Fault::kInt, 1, true);
  add_part<Allocator, FaultyAllocator>("test_counts", Fault::kNone, false);
  add_part<Allocator, FaultyAllocator>("test_all_counts", Fault::kNone, true);
  add_part<Allocator, FaultyAllocator>("test_all_throw", Fault::kInt, true);
  add_part<Weighting, FaultyWeighting>("test_weighting");
  const std::vector<std::pair<std::string, std::string>> faulty = {
      {"{scorer: test_exception, allocator: uniform}", "layer 1: out of luck"},
      {"{scorer: test_exception, allocator: ada}", "layer 1: out of luck"},
      {"{scorer: test_exception, allocator: global}", "layer 1: out of luck"},
      {"{scorer: test_first, allocator: global}", "layer 0: an error of an unknown type"},
      {"{scorer: test_silent, allocator: uniform}",
       "layer 1: an error that says nothing of itself"},
      {"{scorer: test_last_nan, allocator: uniform}",
       "layer 1: scorer test_last_nan gave NaN for KV head 1"},
      {"{scorer: test_shape, allocator: uniform}",
       "layer 1: scorer test_shape must give float32 scores [2, 200]"},
      {"{scorer: test_carry, allocator: uniform}", "layer 1: an error of an unknown type"},
      {"{scorer: keydiff, allocator: test_counts}",
       "layer 1: allocator test_counts gave keep counts [100, 201] for 2 KV heads of 200 tokens"},
      {"{scorer: keydiff, allocator: test_all_counts}",
       "allocator test_all_counts gave keep counts [100, 201] for 2 KV heads of 200 tokens"},
      {"{scorer: keydiff, allocator: test_all_throw}", "an error of an unknown type"},
      {"{scorer: keydiff, allocator: uniform, weighting: test_weighting}",
       "layer 1: weighting test_weighting gave NaN for KV head 0"},
      {"{scorer: keydiff, allocator: global, weighting: test_weighting}",
       "layer 1: weighting test_weighting gave NaN for KV head 0"},
      {"{scorer: keydiff, allocator: uniform, decode: {scorer: test_carry}}",
       "layer 1: an error of an unknown type"},
      {"{scorer: test_carry, allocator: uniform, prefill: {chunk: 50}}",
       "layer 1: an error of an unknown type"},
      {"{scorer: test_last_nan, allocator: uniform, prefill: {chunk: 50}}",
       "layer 1: scorer test_last_nan gave NaN for KV head 1"},
      {"{scorer: keydiff, allocator: test_counts, prefill: {chunk: 50}}",
       "layer 1: allocator test_counts gave keep counts [100, 201] for 2 KV heads of 200 tokens"},
  };
  const Decoder two_heads(kModel.parent_path() / "llama31", at::kFloat, at::kCPU);
  const std::vector<Policy> sound = [] {
    std::vector<Policy> policies;
    for (const char* text :
         {"full", "keydiff", "{scorer: keydiff, allocator: global}", "h2o_decode", "tova_decode"}) {
      policies.push_back(policy(text));
    }
    return policies;
  }();
  std::vector<Policy> failing;
  for (const auto& [text, error] : faulty) failing.push_back(policy(text));
  std::vector<PolicyAtRatio> alone, mixed;
  for (const auto& p : sound) alone.push_back({&p, 0.5});
  for (const auto& p : failing) mixed.push_back({&p, 0.5});
  mixed.insert(mixed.begin() + 5, alone.begin(), alone.end());
  CompressOptions options;
  options.keep_positions = true;
  const Compressed want = compress_context(two_heads, some_tokens(200), alone, options);
  const Compressed got = compress_context(two_heads, some_tokens(200), mixed, options);
  for (size_t i = 0; i < faulty.size(); ++i) {
    SCOPED_TRACE(faulty[i].first);
    const CompressedCache& cut = got.caches[i < 5 ? i : i + sound.size()];
    EXPECT_EQ(cut.error, faulty[i].second);
    EXPECT_EQ(cut.cache, nullptr);
    EXPECT_EQ(cut.eviction, nullptr);
    EXPECT_TRUE(cut.keep_counts.empty());
    EXPECT_TRUE(cut.kept.empty());
    EXPECT_FALSE(cut.last_logits.defined());
  }
  for (size_t i = 0; i < sound.size(); ++i) {
    SCOPED_TRACE(sound[i].name());
    const CompressedCache &a = want.caches[i], &b = got.caches[5 + i];
    EXPECT_EQ(b.error, "");
    EXPECT_EQ(a.keep_counts, b.keep_counts);
    EXPECT_EQ(a.eviction == nullptr, b.eviction == nullptr);
    EXPECT_TRUE(at::equal(a.last_logits, b.last_logits));
    for (int64_t l = 0; l < 2; ++l) {
      EXPECT_TRUE(at::equal(a.cache->layer(l).keys, b.cache->layer(l).keys));
      EXPECT_TRUE(at::equal(a.cache->layer(l).values, b.cache->layer(l).values));
    }
  }
}

// The listener is the caller's, but what it throws fails the policy that was asked.
TEST(Compress, AFailingListenerFailsItsPolicyOnly) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const Policy keydiff = policy("keydiff"), knorm = policy("knorm");
  CompressOptions options;
  options.on_scores = [](const std::string& scorer, int64_t layer, const at::Tensor&) {
    if (layer == 1 && scorer.starts_with("keydiff")) throw 7;
  };
  const Compressed result =
      compress_context(model, some_tokens(60), {{&keydiff, 0.5}, {&knorm, 0.5}}, options);
  EXPECT_EQ(result.caches[0].error, "layer 1: an error of an unknown type");
  EXPECT_TRUE(result.caches[0].keep_counts.empty());
  EXPECT_EQ(result.caches[1].error, "");
}

// Scores so high that "+ 1" is lost in float32: the protected tokens stay.
TEST(Compress, ProtectionHoldsAboveAnyScore) {
  class Huge : public Scorer {
   public:
    at::Tensor score(const LayerView& view) const override {
      return at::full({view.n_kv_heads(), view.n_tokens()}, 1e10F);
    }
  };
  add_part<Scorer, Huge>("test_huge");
  const Decoder model(kModel, at::kFloat, at::kCPU);
  for (const char* allocator : {"uniform", "ada", "global"}) {
    const Policy huge = policy(fmt::format(
        "{{scorer: test_huge, allocator: {}, protect: {{sink: 2, recent: 3}}}}", allocator));
    CompressOptions options;
    options.keep_positions = true;
    const Compressed result = compress_context(model, some_tokens(60), {{&huge, 0.8}}, options);
    ASSERT_EQ(result.caches[0].error, "");
    for (const auto& kept : result.caches[0].kept) {
      EXPECT_EQ(std::vector(kept.positions.begin(), kept.positions.begin() + 2),
                (std::vector<int64_t>{0, 1}));
      EXPECT_EQ(std::vector(kept.positions.end() - 3, kept.positions.end()),
                (std::vector<int64_t>{57, 58, 59}));
    }
  }
}

// Of a layer that waits for the others only keys and values stay, not its larger queries.
TEST(Compress, WaitingLayersHoldNoQueries) {
  const Decoder model(kModel, at::kFloat, at::kCPU);
  const ModelConfig& config = model.config();
  const auto alive_in_last_layer = [&](const std::string& text) {
    const Policy asked = policy(text);
    const auto meter = std::make_shared<AllocationMeter>();
    const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
    int64_t alive = 0;
    CompressOptions options;
    options.on_scores = [&](const std::string&, int64_t layer, const at::Tensor&) {
      if (layer + 1 == config.n_layers) alive = meter->alive;
    };
    compress_context(model, some_tokens(1000), {{&asked, 0.98}}, options);
    return alive;
  };
  const int64_t more = alive_in_last_layer("{scorer: knorm, allocator: global}") -
                       alive_in_last_layer("{scorer: knorm, allocator: uniform}");
  const int64_t waiting = (config.n_layers - 1) * 1000 * 4 * config.n_kv_heads *
                          (2 * config.head_dim + 1);  // keys, values, scores
  EXPECT_GE(more, waiting * 9 / 10);
  EXPECT_LE(more, waiting * 11 / 10);
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

TEST(Compress, WatchesTokensInEveryLayer) {
  const std::vector<int64_t> watched = {2, 40, 59};
  std::vector<Policy> policies;
  for (const char* text :
       {"full", "snapkv", "pyramidkv", "adakv", "{scorer: keydiff, allocator: global}"}) {
    policies.emplace_back(parse_policy_text(text));
  }
  std::vector<PolicyAtRatio> asked;
  for (const Policy& policy : policies) asked.push_back({&policy, policy.is_full() ? 0.0 : 0.6});
  const Compressed compressed = compress_context(tiny_model(), some_tokens(60), asked,
                                                 {.keep_positions = true, .watched = watched});
  for (size_t i = 0; i < policies.size(); ++i) {
    const CompressedCache& cut = compressed.caches[i];
    ASSERT_EQ(cut.error, "");
    ASSERT_EQ(cut.kept_watched.sizes(), (at::IntArrayRef{2, 2, 3}));
    for (int64_t l = 0; l < 2; ++l) {
      const KeptTokens& kept = cut.kept.at(l);
      for (int64_t h = 0; h < 2; ++h) {
        const auto begin = kept.positions.begin() + kept.offsets[h];
        const auto end = kept.positions.begin() + kept.offsets[h + 1];
        for (size_t w = 0; w < watched.size(); ++w) {
          EXPECT_EQ(cut.kept_watched[l][h][static_cast<int64_t>(w)].item<int64_t>(),
                    std::count(begin, end, watched[w]))
              << policies[i].name() << " " << l << " " << h << " " << w;
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
