#include <gtest/gtest.h>

#include <numeric>

#include "policies/allocator.h"
#include "policies/allocators/test_profile_file.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;
using LuKvCurves = ProfileFileTest;

// Keep counts of two layers of two heads, [4].
Counts all_counts(const Allocator& allocator, int64_t n_tokens, double ratio) {
  Counts all;
  for (int64_t layer = 0; layer < 2; ++layer) {
    const auto counts = allocator.allocate(budget_of(2, n_tokens, ratio, layer, 2)).on_host();
    all.insert(all.end(), counts.begin(), counts.end());
  }
  return all;
}

TEST_F(LuKvCurves, HeadsThatLoseLessGiveUpMore) {
  // Flat curves: head 0 is the cheapest, head 3 the dearest.
  write("one/mean_curve", 2, 2, lukv::kParts, [](int64_t head, int64_t) { return head + 1; });
  write_protection("one", 2, 8);
  const auto curves = allocator("lukv_curves", {{"group", "one"}});
  // 400 tokens go: 200 - 10 protected of head 0, as many of head 1, 20 of head 2.
  EXPECT_EQ(all_counts(*curves, 200, 0.5), (Counts{10, 10, 180, 200}));
}

TEST_F(LuKvCurves, EqualSlopesShareAlike) {
  write("mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return i; });
  write_protection("/", 0, 0);
  const auto curves = allocator("lukv_curves");
  EXPECT_EQ(all_counts(*curves, 512, 0.75), (Counts{128, 128, 128, 128}));
}

TEST_F(LuKvCurves, TotalsAreExactForAnyRatioAndLength) {
  write("mean_curve", 2, 2, lukv::kParts,
        [](int64_t head, int64_t i) { return (1 + head) * i + head * 40; });
  write_protection("/", 4, 32);
  const auto curves = allocator("lukv_curves");
  for (const int64_t n_tokens : {1, 30, 36, 37, 999, 1000, 4096}) {
    for (const double ratio : {0.001, 0.1234, 0.5, 0.807, 0.995}) {
      const Counts counts = all_counts(*curves, n_tokens, ratio);
      EXPECT_EQ(
          std::accumulate(counts.begin(), counts.end(), int64_t{0}),
          std::max(4LL, 4 * n_tokens - std::llrint(ratio * 4 * static_cast<double>(n_tokens))))
          << n_tokens << " " << ratio;
    }
  }
}

TEST_F(LuKvCurves, EveryHeadKeepsATokenWhateverTheRatio) {
  write("mean_curve", 2, 2, lukv::kParts, [](int64_t head, int64_t) { return head + 1; });
  write_protection("/", 0, 0);
  const auto curves = allocator("lukv_curves");
  EXPECT_EQ(all_counts(*curves, 60, 0.99), (Counts{1, 1, 1, 1}));
  // A budget of 5 for four heads: the dearest has the one to spare.
  EXPECT_EQ(all_counts(*curves, 10, 0.875), (Counts{1, 1, 1, 2}));
}

TEST_F(LuKvCurves, RefusesOtherFiles) {
  write("falls/mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return 300 - i; });
  write("negative/mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return i - 1; });
  write("short/mean_curve", 2, 2, 9, [](int64_t, int64_t i) { return i; });
  write("other/mean_curve", 3, 2, lukv::kParts, [](int64_t, int64_t i) { return i; });
  write("bare/mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return i; });
  for (const char* group : {"falls", "negative", "short", "other"}) write_protection(group, 0, 0);
  const auto refused = [&](const char* group) {
    return refusal("lukv_curves", {{"group", group}});
  };
  EXPECT_NE(refused("falls").find("do not decrease"), std::string::npos) << refused("falls");
  EXPECT_NE(refused("negative").find("found -1"), std::string::npos) << refused("negative");
  EXPECT_NE(refused("short").find("[layers, KV heads, 256], found [2, 2, 9]"), std::string::npos)
      << refused("short");
  EXPECT_NE(refused("other").find("expected shape [2, 2, 256] for this model, found [3, 2, 256]"),
            std::string::npos)
      << refused("other");
  EXPECT_NE(refused("bare").find("sink"), std::string::npos) << refused("bare");
  EXPECT_NE(refused("none").find(path_.string()), std::string::npos) << refused("none");
  EXPECT_THROW(make_allocator("lukv_curves")->validate({2, 2}), InputError);
}

}  // namespace
}  // namespace kvbench
