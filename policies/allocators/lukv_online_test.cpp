#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "policies/allocator.h"
#include "policies/allocators/test_profile_file.h"
#include "policies/lukv/calibration.h"
#include "policies/lukv/mean_curve.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

class LuKvOnline : public ProfileFileTest {
 protected:
  // Two layers of two heads: importance is `worth[head]` times the relative score, and the curves
  // of all heads are alike.
  void write_profile(const std::vector<double>& worth) {
    write("mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return i / 1e6; });
    write("calibration_scores", 2, 2, lukv::kKnots, [](int64_t, int64_t i) { return i; });
    write("calibration_importance", 2, 2, lukv::kKnots,
          [&](int64_t head, int64_t i) { return worth[head] * static_cast<double>(i); });
    write_protection("/", 2, 3);
  }

  static Counts counts(const Allocator& online, const at::Tensor& scores, double ratio) {
    const auto layers = online.allocate_layers(
        {budget_of(scores[0], ratio, 0, 2), budget_of(scores[1], ratio, 1, 2)});
    Counts all;
    for (const KeepCounts& of_layer : layers) {
      const auto layer = of_layer.on_host();
      all.insert(all.end(), layer.begin(), layer.end());
    }
    return all;
  }
};

// The definition, token by token: which tokens the heads keep when all compete by their worth.
TEST_F(LuKvOnline, KeepsTheTokensOfTheHighestWorth) {
  constexpr int64_t kTokens = 105;
  const std::vector<double> worth = {1, 2, 0.5, 4};
  write_profile(worth);
  at::manual_seed(4);
  const at::Tensor scores = at::rand({2, 2, kTokens}) * 7 - 3;
  const auto online = allocator("lukv_online", {{"trust", "1"}});
  for (const double ratio : {0.2, 0.5, 0.8}) {
    std::vector<std::pair<double, size_t>> tokens;  // worth, head
    for (size_t head = 0; head < 4; ++head) {
      const at::Tensor free =
          scores.view({4, kTokens})[static_cast<int64_t>(head)].narrow(0, 2, 100);
      const at::Tensor relative = (free - free.min()) / (free.mean() - free.min());
      for (int64_t j = 0; j < 100; ++j) {
        tokens.emplace_back(worth[head] * relative[j].item<double>(), head);
      }
    }
    std::sort(tokens.begin(), tokens.end());
    Counts expected(4, kTokens);
    const int64_t n_gone = std::llrint(ratio * 4 * kTokens);
    for (int64_t i = 0; i < n_gone; ++i) --expected[tokens[i].second];
    EXPECT_EQ(counts(*online, scores, ratio), expected) << ratio;
  }
}

TEST_F(LuKvOnline, PeakedHeadsOfThisPromptNeedFewer) {
  write_profile({1, 1, 1, 1});
  at::Tensor scores = at::rand({2, 2, 105});
  scores[0][0].narrow(0, 2, 97).mul_(0.001);  // head 0: three tokens have nearly everything
  const auto online = allocator("lukv_online", {{"trust", "1"}});
  const Counts kept = counts(*online, scores, 0.5);
  EXPECT_LT(kept[0], 20);
  EXPECT_EQ(std::accumulate(kept.begin(), kept.end(), int64_t{0}), 210);
  // Without trust in the scores, heads of the same curve get the same.
  const auto offline = make_allocator("lukv_online", {{"trust", "0"}, {"profile", path_.string()}});
  for (const auto count : counts(*offline, scores, 0.5)) EXPECT_NEAR(count, 52.5, 1);
}

TEST_F(LuKvOnline, TotalsAreExactAndFloorsHold) {
  write_profile({1, 9, 0, 0.1});
  const auto online = allocator("lukv_online");
  for (const int64_t n_tokens : {1, 5, 6, 60, 100, 777}) {
    const at::Tensor scores = at::rand({2, 2, n_tokens});
    for (const double ratio : {0.01, 0.5, 0.9, 0.99}) {
      const Counts kept = counts(*online, scores, ratio);
      const int64_t total = std::max<int64_t>(
          4, 4 * n_tokens - std::llrint(ratio * 4 * static_cast<double>(n_tokens)));
      EXPECT_EQ(std::accumulate(kept.begin(), kept.end(), int64_t{0}), total);
      const int64_t least = std::min<int64_t>({5, total / 4, n_tokens});
      for (const auto count : kept) EXPECT_GE(count, least) << n_tokens << " " << ratio;
    }
  }
}

TEST_F(LuKvOnline, RefusesOtherFiles) {
  write("mean_curve", 2, 2, lukv::kParts, [](int64_t, int64_t i) { return i; });
  write("calibration_scores", 2, 2, lukv::kKnots, [](int64_t, int64_t i) { return 64 - i; });
  write("calibration_importance", 2, 2, lukv::kKnots, [](int64_t, int64_t i) { return i; });
  EXPECT_NE(refusal("lukv_online").find("calibration_scores: expected values that do not decrease"),
            std::string::npos)
      << refusal("lukv_online");
  EXPECT_THROW(make_allocator("lukv_online")->validate({2, 2}), InputError);
  EXPECT_THROW(make_allocator("lukv_online", {{"trust", "2"}}), InputError);
}

}  // namespace
}  // namespace kvbench
