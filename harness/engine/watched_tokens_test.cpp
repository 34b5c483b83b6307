#include "harness/engine/watched_tokens.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/config/policy_yaml.h"
#include "harness/engine/compress.h"
#include "harness/engine/tiny_model.h"

namespace kvbench {
namespace {

std::vector<std::vector<int64_t>> rows(const at::Tensor& seen) {
  std::vector<std::vector<int64_t>> all;
  for (int64_t h = 0; h < seen.size(0); ++h) {
    for (all.emplace_back(); std::ssize(all.back()) < seen.size(1);) {
      all.back().push_back(seen[h][std::ssize(all.back())].item<int64_t>());
    }
  }
  return all;
}

TEST(WatchedTokens, AreFoundInEachHead) {
  // The second head keeps nothing, the third one in the order of its ranks.
  const KeptTokens kept{{0, 3, 7, 9, 5, 3}, {0, 4, 4, 6}};
  Selection selection = on_device(kept, at::kCPU);
  const std::vector<std::vector<int64_t>> expected = {{0, 1, 1}, {0, 0, 0}, {1, 1, 0}};
  EXPECT_EQ(rows(kept_of(selection, {5, 3, 7})), expected);
  EXPECT_EQ(rows(kept_of_by_operators(selection, {5, 3, 7})), expected);
  // Entries behind the last head's mean nothing.
  selection.positions = at::cat({selection.positions, at::tensor({5, 7, 1000000}, at::kInt)});
  EXPECT_EQ(rows(kept_of(selection, {5, 3, 7})), expected);
  EXPECT_EQ(rows(kept_of_by_operators(selection, {5, 3, 7})), expected);
}

TEST(WatchedTokens, OfEveryLayerThatIsCut) {
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
