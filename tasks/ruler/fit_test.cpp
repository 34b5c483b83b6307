#include "tasks/ruler/fit.h"

#include "tasks/ruler/test_files.h"

namespace kvbench::ruler {
namespace {

int64_t bytes(std::string_view text) { return static_cast<int64_t>(text.size()); }

// A sample of n units is 10 n + 7 tokens long.
std::optional<Draw> regular(int64_t size) {
  return Draw{std::string(static_cast<size_t>(10 * size + 7), 'x'), {"a"}};
}

TEST(Fit, LargestSizeThatFits) {
  const FitRule rule = {.task = "t", .max_length = 1000, .step = 5};
  EXPECT_EQ(fit_size(rule, regular, bytes, 0), 99);
  EXPECT_EQ(fit_size(rule, regular, bytes, 3), 99);
  EXPECT_EQ(fit_size(rule, regular, bytes, 4), 98);
}

TEST(Fit, StepWhenNothingFits) {
  EXPECT_EQ(fit_size({.task = "t", .max_length = 20, .step = 5}, regular, bytes, 0), 5);
}

// int(max / t * 3) bounds the search even where more would fit.
TEST(Fit, SearchEndsAtThreeTimesTheEstimate) {
  const Drawer saturating = [](int64_t size) {
    return Draw{std::string(size <= 10 ? 100 : 101, 'x'), {}};
  };
  EXPECT_EQ(fit_size({.task = "t", .max_length = 500, .step = 10}, saturating, bytes, 0), 150);
}

// As cwe has it: estimated by a probe of its own, twice the whole units that fill the task, and no
// more than there are.
TEST(Fit, ProbeBoundAndMost) {
  std::vector<int64_t> sizes;
  const Drawer small = [&](int64_t size) {
    sizes.push_back(size);
    return Draw{"x", {}};
  };
  FitRule rule = {.task = "t", .max_length = 3, .step = 1, .probe = 2};
  rule.bound = [](double units) { return 2 * static_cast<int64_t>(units); };
  EXPECT_EQ(fit_size(rule, small, bytes, 0), 12);  // 3 / (1 / 2) = 6
  EXPECT_EQ(sizes[0], 2);
  rule.most = 9;
  EXPECT_EQ(fit_size(rule, small, bytes, 0), 9);
}

TEST(Fit, ALongDrawShrinksByOneStep) {
  std::vector<int64_t> sizes;
  const Drawer unlucky = [&](int64_t size) {
    sizes.push_back(size);
    return regular(sizes.size() == 1 ? size + 1 : size);
  };
  const FittedDraw fitted =
      fit_draw({.task = "t", .max_length = 1000, .step = 95}, 99, unlucky, bytes, 3);
  EXPECT_EQ(sizes, (std::vector<int64_t>{99, 4}));  // below the step, as 640 words give 140
  EXPECT_EQ(fitted.length, 4 * 10 + 7 + 3);
}

TEST(Fit, AnErrorInsteadOfTheEndlessLoop) {
  const FitRule rule = {.task = "ruler/x", .max_length = 40, .step = 5};
  EXPECT_EQ(input_error([&] { fit_draw(rule, 5, regular, bytes, 3); }),
            "ruler/x: length 40 is too small: the shortest sample drawn needs 60 tokens, 3 of them "
            "for the answer");
  const Drawer none = [](int64_t) { return std::nullopt; };
  EXPECT_THROW(fit_draw(rule, 5, none, bytes, 3), InputError);
  EXPECT_THROW(fit_size(rule, none, bytes, 3), InputError);
}

}  // namespace
}  // namespace kvbench::ruler
