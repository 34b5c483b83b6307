// Layer budgets worked by hand.
#include <gtest/gtest.h>

#include <numeric>

#include "policies/allocators/test_allocator.h"

namespace kvbench {
namespace {

using Counts = std::vector<int64_t>;

// Counts of head 0 of each layer; both heads keep the same.
Counts layers(int64_t n_tokens, double ratio, int64_t n_layers, std::vector<Params::Given> given) {
  const auto pyramid = make_allocator("pyramid", std::move(given));
  Counts counts;
  for (int64_t l = 0; l < n_layers; ++l) {
    const auto heads = pyramid->allocate(budget_of(2, n_tokens, ratio, l, n_layers)).on_host();
    EXPECT_EQ(heads[0], heads[1]);
    counts.push_back(heads[0]);
  }
  return counts;
}

TEST(Pyramid, SlopesFromMaximumToMinimum) {
  // B = 250, min = 50, max = 450 < 1000 - 8: steps of 100.
  EXPECT_EQ(layers(1000, 0.75, 5, {{"beta", "5"}, {"window", "8"}}),
            (Counts{450, 350, 250, 150, 50}));
}

TEST(Pyramid, ClampsToTheContext) {
  // B = 500, min = 100, max = 900 >= 1000 - 200: max = 800, min = 200.
  EXPECT_EQ(layers(1000, 0.5, 4, {{"beta", "5"}, {"window", "200"}}), (Counts{800, 600, 400, 200}));
}

TEST(Pyramid, RoundsHalfToEven) {
  // B = 5, min = 1, max = 9 of 20: steps of 8 / 3 give 9, 6.33, 3.67, 1; of 8 / 16 give halves.
  EXPECT_EQ(layers(20, 0.75, 4, {{"beta", "5"}, {"window", "1"}}), (Counts{9, 6, 4, 1}));
  EXPECT_EQ(layers(20, 0.75, 17, {{"beta", "5"}, {"window", "1"}}),
            (Counts{9, 8, 8, 8, 7, 6, 6, 6, 5, 4, 4, 4, 3, 2, 2, 2, 1}));
}

TEST(Pyramid, FallsBackToUniformBelowTheWindow) {
  // B = 250.5, min = 12.525 < 64.
  EXPECT_EQ(layers(1002, 0.75, 3, {}), (Counts{250, 250, 250}));
  EXPECT_EQ(layers(1002, 0.75, 3, {{"fallback", "false"}}), (Counts{488, 250, 13}));
  EXPECT_EQ(layers(5, 0.9, 3, {}), (Counts{1, 1, 1}));
  EXPECT_EQ(layers(1000, 0.1, 3, {{"fallback", "false"}}), (Counts{936, 900, 864}));
  // B = 950 > T - W: the slope would rise.
  EXPECT_EQ(layers(1000, 0.05, 3, {{"fallback", "false"}}), (Counts{950, 950, 950}));
  EXPECT_EQ(layers(1000, 0.75, 1, {{"window", "1"}}), (Counts{250}));
}

TEST(Pyramid, IntegerStepsAddTheWindow) {
  // C = 250, B = 242, min = 48, max = 436, step = 388 / 4 = 97.
  EXPECT_EQ(layers(1000, 0.75, 5, {{"integer_steps", "true"}, {"beta", "5"}, {"window", "8"}}),
            (Counts{444, 347, 250, 153, 56}));
  // T = 100 < 2 B: uniform. C = 4 does not exceed the window: uniform.
  EXPECT_EQ(layers(100, 0.25, 3, {{"integer_steps", "true"}, {"window", "8"}}),
            (Counts{75, 75, 75}));
  EXPECT_EQ(layers(100, 0.96, 3, {{"integer_steps", "true"}, {"window", "8"}}), (Counts{4, 4, 4}));
}

TEST(Pyramid, ExactTotalIsTheUniformOne) {
  for (const char* integer_steps : {"false", "true"}) {
    for (const double ratio : {0.1, 0.33, 0.5, 0.8, 0.9, 0.97}) {
      const auto counts = layers(731, ratio, 30,
                                 {{"exact_total", "true"},
                                  {"fallback", "false"},
                                  {"integer_steps", integer_steps},
                                  {"window", "8"}});
      EXPECT_EQ(std::accumulate(counts.begin(), counts.end(), int64_t{0}),
                30 * budget_of(1, 731, ratio).uniform_count());
      EXPECT_TRUE(std::is_sorted(counts.rbegin(), counts.rend()));
      EXPECT_GE(counts.back(), 1);
      EXPECT_LE(counts.front(), 731);
    }
  }
}

TEST(Pyramid, RefusesBadParameters) {
  EXPECT_THROW(make_allocator("pyramid", {{"beta", "0"}}), InputError);
  EXPECT_THROW(make_allocator("pyramid", {{"window", "-1"}}), InputError);
}

}  // namespace
}  // namespace kvbench
