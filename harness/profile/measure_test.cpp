// What a profile measures does not depend on how its contexts are shared out to threads.
#include "harness/profile/measure.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "harness/base/error.h"
#include "harness/config/policy_yaml.h"

namespace kvbench {
namespace {

class MeasureTest : public testing::Test {
 protected:
  void SetUp() override {
    config_.decode_steps = 5;
    for (const char* scorer : {"keydiff", "{name: snapkv, window: 4}"}) {
      policies_.emplace_back(
          parse_policy_text(fmt::format("{{scorer: {}, allocator: uniform}}", scorer)));
      ProfiledScorer& profiled = config_.scorers.emplace_back();
      profiled.sink = 2;
      profiled.window = 4;
    }
    for (int32_t c = 0; c < 5; ++c) {
      ProfileContext context;
      for (int32_t i = 0; i < 40 + 3 * c; ++i) context.tokens.push_back((i * 37 + 11 * c) % 96);
      // Not all have as many questions.
      for (int32_t q = 0; q < 1 + c % 2; ++q) context.questions.push_back({7 + c, 30 + q, 2});
      contexts_.push_back(context);
    }
  }
  void TearDown() override { at::set_num_threads(threads_before_); }

  std::vector<Measurement> measured(int n_threads, size_t first, size_t size) {
    at::set_num_threads(n_threads);
    return measure(config_, model_, policies_, contexts_, {}, first, size, {});
  }

  const int threads_before_ = at::get_num_threads();
  ProfileConfig config_;
  std::vector<Policy> policies_;
  std::vector<ProfileContext> contexts_;
  const Decoder model_{std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/model/testdata/qwen3",
                       at::kFloat, at::kCPU};
};

void expect_same(const Measurement& got, const Measurement& want) {
  EXPECT_EQ(got.entry.context, want.entry.context);
  EXPECT_EQ(got.entry.question, want.entry.question);
  EXPECT_EQ(got.entry.n_tokens, want.entry.n_tokens);
  ASSERT_EQ(got.curves.size(), want.curves.size());
  for (size_t s = 0; s < want.curves.size(); ++s) {
    const auto &hull = got.curves[s].hull, &want_hull = want.curves[s].hull;
    ASSERT_EQ(hull.size(), want_hull.size());
    for (size_t h = 0; h < hull.size(); ++h) {
      const int64_t n_free = want.entry.n_tokens - 6;
      for (int64_t n = 0; n <= n_free; ++n) {
        const double loss = lukv::loss_at(want_hull[h], n);
        EXPECT_NEAR(lukv::loss_at(hull[h], n), loss, 1e-4 * loss + 1e-9);
      }
    }
  }
}

TEST_F(MeasureTest, IsTheSameOnAnyNumberOfThreads) {
  const auto want = measured(1, 0, 5);
  ASSERT_EQ(want.size(), 7U);  // question by question
  EXPECT_EQ(want[4].entry.context, 4);
  EXPECT_EQ(want[5].entry.context, 1);
  EXPECT_EQ(want[6].entry.question, 1);
  for (const int n_threads : {2, 3, 8}) {  // 8: fewer contexts than threads
    const auto got = measured(n_threads, 0, 5);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) expect_same(got[i], want[i]);
  }
}

TEST_F(MeasureTest, IsTheSameInGroupsOfAnySize) {
  const auto all = measured(2, 0, 5), some = measured(2, 2, 3);
  ASSERT_EQ(some.size(), 4U);
  expect_same(some[0], all[2]);
  expect_same(some[2], all[4]);
  expect_same(some[3], all[6]);
}

TEST_F(MeasureTest, ErrorsOfThreadsArrive) {
  contexts_[3].tokens.resize(3);  // less than SnapKV's window
  EXPECT_THROW(measured(2, 0, 5), InputError);
}

}  // namespace
}  // namespace kvbench
