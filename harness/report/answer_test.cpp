#include "harness/report/answer.h"

#include <gtest/gtest.h>

#include <regex>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The answers of a file's blocks, a line each, without their intervals' ends, which have tests of
// their own.
std::string answers(Results file) {
  std::vector<Results> files;
  files.push_back(std::move(file));
  const Joined joined = join(std::move(files));
  const auto blocks = blocks_of(joined);
  std::string text;
  for (const Choices& choices : choices_of(joined, blocks)) text += answer(choices) + "\n";
  return std::regex_replace(text, std::regex(R"(\[[-+.0-9]+, [-+.0-9]+\])"), "[]");
}

// Of 100 contexts each.
const std::vector<double> kRight(100, 100), kWrong(100, 0);
const std::vector<double> kHalf = [] {
  std::vector<double> scores(100, 100);
  for (size_t i = 0; i < scores.size(); i += 2) scores[i] = 0;
  return scores;
}();

TEST(Answer, TakesTheSmallestBudgetThatIsShownToBeGoodEnough) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kRight);
  add(file, cell("t", "good", 0.5), kRight);
  add(file, cell("t", "good", 0.8), kRight);
  add(file, cell("t", "bad", 0.8), kHalf);
  add(file, cell("t", "good", 0.9), kHalf);
  const std::string text = answers(file);
  EXPECT_TRUE(std::regex_search(
      text,
      std::regex("^length 1024, compress context: good at ratio 0\\.8\\. It loses at most "
                 "[34]\\.[0-9] points, within the 5 allowed here\\. good at ratio 0\\.8 scores "
                 "100\\.0 \\[\\] \\(n = 100\\), \\+0\\.0 \\[\\] to the full cache\\. The full "
                 "cache scores 100\\.0 \\[\\] \\(n = 100\\)\\. ")))
      << text;
  EXPECT_TRUE(contains(text,
                       "It keeps 20.0 % of the KV cache, 1.00 of 1.00 MiB a sequence; its "
                       "TPOT was not measured."))
      << text;
  EXPECT_FALSE(contains(text, "cannot be told")) << text;  // `bad` is worse for sure
  EXPECT_TRUE(contains(text, "4 choices of policy and ratio")) << text;
}

TEST(Answer, NamesThePoliciesThatCannotBeToldFromTheBest) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kRight);
  for (const char* policy : {"one", "two", "three"}) add(file, cell("t", policy, 0.5), kRight);
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "one at ratio 0.5")) << text;
  EXPECT_TRUE(contains(text, "cannot be told from two, three.")) << text;
}

TEST(Answer, ComparesAllTasksTogether) {
  Results file = test_results::file("a.h5");
  for (const char* task : {"t", "u"}) {
    add(file, cell(task, "full", 0), kRight);
    add(file, cell(task, "one", 0.5), kRight);
    add(file, cell(task, "two", 0.5), task[0] == 't' ? kRight : kHalf);
  }
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "one at ratio 0.5 scores 100.0 [] (n = 200)")) << text;
  EXPECT_FALSE(contains(text, "cannot be told from")) << text;
}

TEST(Answer, CannotTellFromAWideInterval) {
  Results file = test_results::file("a.h5");
  std::vector<double> most = kRight;
  for (size_t i = 0; i < 6; ++i) most[i] = 0;
  add(file, cell("t", "full", 0), kRight);
  add(file, cell("t", "one", 0.5), most);
  const std::string text = answers(file);
  EXPECT_TRUE(
      contains(text, "cannot tell. No choice is shown to lose at most 5 points (--power says"))
      << text;
  EXPECT_TRUE(contains(text, "Nearest: one at ratio 0.5 scores 94.0")) << text;
  EXPECT_FALSE(contains(text, "choices of policy")) << text;  // there is one
}

TEST(Answer, SaysThatEveryPolicyLoses) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kRight);
  add(file, cell("t", "one", 0.5), kHalf);
  add(file, cell("t", "one", 0.8), kWrong);
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "none. Every choice loses more than 5 points.")) << text;
  EXPECT_TRUE(contains(text, "Nearest: one at ratio 0.5 scores 50.0")) << text;
}

TEST(Answer, FewContextsWithoutALossAreNotEnough) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), std::vector<double>(50, 100));
  add(file, cell("t", "one", 0.5), std::vector<double>(50, 100));
  EXPECT_TRUE(contains(answers(file), "cannot tell. No choice is shown to lose at most 5 points"))
      << answers(file);
}

TEST(Answer, AFullCacheThatFailsHasNothingToLose) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kWrong);
  add(file, cell("t", "one", 0.5), kWrong);
  EXPECT_TRUE(contains(answers(file),
                       "cannot tell. The full cache scores 0.0 [] (n = 100). "
                       "There is nothing to lose."))
      << answers(file);
}

TEST(Answer, ASingleContextGivesNoVerdict) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), {100});
  add(file, cell("t", "one", 0.5), {100});
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "cannot tell.")) << text;
  EXPECT_TRUE(contains(text, "+0.0 (no interval: one context)")) << text;
}

TEST(Answer, WithoutAFullCacheTheCostCannotBeTold) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "one", 0.5), kHalf);
  add(file, cell("t", "two", 0.5), kRight);
  add(file, cell("t", "one", 0.8), kHalf);
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "no full cache to compare with")) << text;
  EXPECT_TRUE(contains(text, "Best at each budget: one at ratio 0.8, score 50.0")) << text;
  EXPECT_TRUE(contains(text, "; two at ratio 0.5, score 100.0 [] (n = 100).")) << text;
}

TEST(Answer, TheFullCacheAloneLeavesNothingToChoose) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kRight);
  EXPECT_TRUE(contains(answers(file), "only the full cache is complete, score 100.0"))
      << answers(file);
}

TEST(Answer, CountsFailuresAndLeavesOutWhatLacksATask) {
  Results file = test_results::file("a.h5");
  for (const char* task : {"t", "u"}) {
    add(file, cell(task, "full", 0), kRight);
    std::vector<double> scores = kRight;
    scores[1] = NAN;
    add(file, cell(task, "one", 0.5), scores);
  }
  add(file, cell("t", "two", 0.9), kRight);
  const std::string text = answers(file);
  EXPECT_TRUE(contains(text, "one at ratio 0.5 scores 100.0 [] (n = 198)")) << text;
  EXPECT_TRUE(contains(text, "1 of 2 lack a task and are left out.")) << text;
  EXPECT_TRUE(contains(text, "2 samples failed and count nowhere.")) << text;
}

TEST(Answer, SaysWhatDecodingCostsAtTheNearestLength) {
  Results file = test_results::file("a.h5");
  add(file, cell("t", "full", 0), kRight);
  add(file, cell("t", "one", 0.5), kRight);
  for (const int64_t tokens : {512, 1024, 8192}) {
    for (const char* policy : {"full", "one"}) {
      LatencyRow row;
      row.policy = policy;
      row.policy_id = std::string("id of ") + policy;
      row.ratio = policy[0] == 'f' ? 0 : 0.5;
      row.context_tokens = tokens;
      row.tpot_ms = static_cast<double>(tokens) / 100 * (1 - row.ratio);
      row.ttft_ms = 10 * row.tpot_ms;
      file.latency.push_back(row);
    }
  }
  EXPECT_TRUE(contains(answers(file),
                       "TPOT 5.120 ms beside the full cache's 10.240, TTFT 51.2 ms beside "
                       "the full cache's 102.4, at 1024 tokens."))
      << answers(file);
}

}  // namespace
}  // namespace kvbench
