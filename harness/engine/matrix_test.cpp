// Every registered scorer with every registered allocator, on a tiny random model. Nothing is
// listed here: a new file in policies/ is picked up.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/generate.h"
#include "harness/engine/test_gates.h"
#include "harness/engine/test_profile.h"
#include "harness/engine/tiny_model.h"
#include "policies/allocator.h"

namespace kvbench {
namespace {

constexpr int64_t kTokens = 200;
constexpr int64_t kSink = 2, kRecent = 4;

// What an answer might turn out to need, for oracles.
std::vector<at::Tensor> some_importance(int64_t n_layers, int64_t n_heads, int64_t n_tokens) {
  at::manual_seed(5);
  return at::rand({n_layers, n_heads, n_tokens}).unbind();
}

// Made with the defaults, or with a profile where the allocator has such a parameter.
std::string allocator_text(const std::string& name, const std::string& profile) {
  Params params;
  Registry<Allocator>::instance().find(name).make(params);
  for (const auto& parameter : params.described()) {
    if (parameter.key == "profile") return fmt::format("{{name: {}, profile: {}}}", name, profile);
  }
  return name;
}

class Matrix : public testing::TestWithParam<std::tuple<std::string, std::string>> {
 protected:
  void SetUp() override {
    const auto& [scorer, allocator] = GetParam();
    profile_ = write_test_profile(scorer + "_" + allocator, tiny_model().config(), kSink, kRecent);
    gates_ = write_test_gates(scorer + "_" + allocator, tiny_model().config());
    policy_ = std::make_unique<Policy>(parse_policy_text(
        fmt::format("{{scorer: {}, allocator: {}, protect: {{sink: {}, recent: {}}}}}",
                    scorer_text(scorer, gates_), allocator_text(allocator, profile_.string()),
                    kSink, kRecent)));
    policy_->validate(tiny_model().config().shape());
  }
  void TearDown() override {
    std::filesystem::remove(profile_);
    std::filesystem::remove_all(gates_);
  }

  // One cut; `scores`, if given, receives the scores of each layer, before protection.
  CompressedCache cut(const std::vector<int32_t>& tokens, double ratio,
                      std::vector<at::Tensor>* scores = nullptr) const {
    CompressOptions options;
    options.keep_positions = true;
    options.seed = 7;
    options.frame = some_frame();
    options.importance =
        some_importance(tiny_model().config().n_layers, tiny_model().config().n_kv_heads,
                        static_cast<int64_t>(tokens.size()));
    if (scores != nullptr) {
      options.on_scores = [scores](const std::string&, int64_t, const at::Tensor& layer) {
        scores->push_back(layer.clone());
      };
    }
    Compressed result = compress_context(tiny_model(), tokens, {{policy_.get(), ratio}}, options);
    EXPECT_EQ(result.caches[0].error, "");
    return std::move(result.caches[0]);
  }

  std::filesystem::path profile_, gates_;
  std::unique_ptr<Policy> policy_;
};

// The kept keys and values of one head, as stored.
std::vector<at::Tensor> rows(const KvCache& cache, int64_t layer, int64_t head) {
  const KvCache::Layer& l = cache.layer(layer);
  return {l.keys.narrow(0, l.starts[head], l.lengths[head]),
          l.values.narrow(0, l.starts[head], l.lengths[head])};
}

void expect_same_cache(const CompressedCache& a, const CompressedCache& b) {
  ASSERT_EQ(a.keep_counts, b.keep_counts);
  for (size_t l = 0; l < a.kept.size(); ++l) {
    EXPECT_EQ(a.kept[l].positions, b.kept[l].positions);
    for (int64_t h = 0; h < a.kept[l].n_kv_heads(); ++h) {
      const auto x = rows(*a.cache, static_cast<int64_t>(l), h);
      const auto y = rows(*b.cache, static_cast<int64_t>(l), h);
      EXPECT_TRUE(at::equal(x[0], y[0]) && at::equal(x[1], y[1])) << "layer " << l << " head " << h;
    }
  }
}

// policies.md 0.1: uniform truncates, pyramid rounds each layer, lukv each layer's total. None of
// them moves a head by more than one token.
TEST_P(Matrix, KeepsTheUniformTotal) {
  for (const double ratio : {0.5, 0.9}) {
    const CompressedCache result = cut(some_tokens(kTokens), ratio);
    ASSERT_NE(result.cache, nullptr);
    for (const auto count : result.keep_counts) {
      EXPECT_GE(count, 1);
      EXPECT_LE(count, kTokens);
      if (std::get<1>(GetParam()) == "uniform") {
        EXPECT_EQ(count, static_cast<int32_t>(kTokens * (1 - ratio)));
      }
    }
    if (policy_->ignores_ratio()) continue;
    const auto n_heads = static_cast<double>(result.keep_counts.size());
    const auto kept = std::accumulate(result.keep_counts.begin(), result.keep_counts.end(), 0.0);
    EXPECT_NEAR(kept, n_heads * kTokens * (1 - ratio), n_heads);
  }
}

// The buffers hold the rows of the model's own prefill, copied one by one, at the kept positions.
TEST_P(Matrix, HoldsTheRowsOfTheFullCache) {
  const CompressedCache result = cut(some_tokens(kTokens), 0.5);
  ASSERT_NE(result.cache, nullptr);
  tiny_model().prefill(some_tokens(kTokens), [&](const LayerView& full) {
    const KeptTokens& kept = result.kept[static_cast<size_t>(full.index)];
    for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
      const auto stored = rows(*result.cache, full.index, h);
      ASSERT_EQ(stored[0].size(0), kept.count(h));
      for (int64_t i = 0; i < kept.count(h); ++i) {
        const auto position = kept.positions[static_cast<size_t>(kept.offsets[h] + i)];
        EXPECT_TRUE(at::equal(stored[0][i], full.keys[h][position]) &&
                    at::equal(stored[1][i], full.values[h][position]))
            << "layer " << full.index << ", head " << h << ", token " << position;
      }
    }
  });
}

// The kept set of one head by a plain stable sort: protected tokens first, then by score, ties to
// the lower position.
std::vector<int64_t> plainly_selected(const at::Tensor& scores, int64_t count) {
  const auto is_protected = [](int64_t t) { return t < kSink || t >= kTokens - kRecent; };
  std::vector<int64_t> order(kTokens);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    if (is_protected(a) != is_protected(b)) return is_protected(a);
    return scores[a].item<double>() > scores[b].item<double>();
  });
  order.resize(static_cast<size_t>(count));
  std::sort(order.begin(), order.end());
  return order;
}

TEST_P(Matrix, KeepsTheProtectedAndTheTopScored) {
  if (policy_->ranks_by_budget()) return;  // by other scores than these
  for (const double ratio : {0.5, 0.9}) {
    std::vector<at::Tensor> scores;
    const CompressedCache result = cut(some_tokens(kTokens), ratio, &scores);
    ASSERT_NE(result.cache, nullptr);
    for (size_t l = 0; l < result.kept.size(); ++l) {
      const KeptTokens& kept = result.kept[l];
      for (int64_t h = 0; h < kept.n_kv_heads(); ++h) {
        if (kept.count(h) < kSink + kRecent) continue;
        const std::vector<int64_t> positions(kept.positions.begin() + kept.offsets[h],
                                             kept.positions.begin() + kept.offsets[h + 1]);
        EXPECT_EQ(positions, plainly_selected(scores[l][h], kept.count(h)))
            << "layer " << l << ", head " << h;
      }
    }
  }
}

TEST_P(Matrix, RatioZeroIsTheFullCache) {
  const Policy full(parse_policy_text("full"));
  CompressOptions options;
  options.keep_positions = true;
  Compressed both = compress_context(tiny_model(), some_tokens(kTokens),
                                     {{&full, 0.0}, {policy_.get(), 0.0}}, options);
  expect_same_cache(both.caches[0], both.caches[1]);
  const auto answers = generate(tiny_model(), {both.caches[0].growing(), both.caches[1].growing()},
                                {5, 6, 7}, {8, {}});
  EXPECT_EQ(answers[0].tokens, answers[1].tokens);
}

TEST_P(Matrix, NothingIsRemembered) {
  const CompressedCache first = cut(some_tokens(kTokens), 0.5);
  const CompressedCache other = cut(some_tokens(kTokens, 11), 0.9);
  const CompressedCache again = cut(some_tokens(kTokens), 0.5);
  ASSERT_NE(other.cache, nullptr);
  expect_same_cache(first, again);
}

INSTANTIATE_TEST_SUITE_P(
    Parts, Matrix,
    testing::Combine(testing::ValuesIn(Registry<Scorer>::instance().names()),
                     testing::ValuesIn(Registry<Allocator>::instance().names())),
    [](const auto& pair) { return std::get<0>(pair.param) + "_" + std::get<1>(pair.param); });

}  // namespace
}  // namespace kvbench
