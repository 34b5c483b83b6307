// LongBench's metrics by hand; harness/golden compares them with the official code's numbers.
#include "tasks/metrics.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"
#include "tasks/test_samples.h"

namespace kvbench {
namespace {

TEST(LongBenchMetrics, TheBestReferenceCountsAndNoneIsZero) {
  EXPECT_EQ(grade("qa_f1_score", "the cat", {"dog", "a cat"}), 100.0);
  EXPECT_EQ(grade("qa_f1_score", "cat", {}), 0.0);
}

TEST(LongBenchMetrics, WordsWithoutArticlesAndPunctuation) {
  EXPECT_EQ(grade("qa_f1_score", "Twenty-one, t.h.e!", {"twentyone"}), 100.0);
  // 1 of 2 predicted words, 1 of 1 wanted.
  EXPECT_NEAR(grade_share("qa_f1_score", {"paris france", {"Paris"}}), 2.0 / 3, 1e-15);
  EXPECT_EQ(grade("qa_f1_score", "the", {"a"}), 0.0);
  EXPECT_EQ(grade("qa_f1_score", "athens", {"a thens"}), 0.0);
}

TEST(LongBenchMetrics, RougeOfTheSameIsNearlyOne) {
  EXPECT_EQ(grade_share("rouge_score", {"A b. C d.", {"A b. C d."}}), 0.999999995);
  EXPECT_EQ(grade("rouge_score", "...", {"a"}), 0.0);
  EXPECT_EQ(grade("rouge_score", "x", {"y"}), 0.0);
}

TEST(LongBenchMetrics, RougeTooDeepForPythonIsZeroUnlessToldOtherwise) {
  std::string words;
  for (int i = 0; i < 991; ++i) words += std::to_string(i) + " ";
  EXPECT_EQ(grade("rouge_score", words, {words}), 0.0);
  EXPECT_EQ(grade_share("rouge_score", {words, {words}}, {{"recursion_limit", "none"}}),
            0.999999995);
  words.resize(words.size() - 4);
  EXPECT_EQ(grade_share("rouge_score", {words, {words}}), 0.999999995);
}

TEST(LongBenchMetrics, ClassesThatTheAnswerHoldsAreTakenOut) {
  const std::vector<std::string> classes = {"Date", "Date of birth", "City"};
  EXPECT_EQ(grade_share("classification_score", {"Date of birth", {"Date of birth"}, classes}),
            1.0);
  EXPECT_EQ(grade_share("classification_score", {"Date, City", {"City"}, classes}), 0.5);
  EXPECT_EQ(grade_share("classification_score", {"Date", {"City"}, classes}), 0.0);
}

TEST(LongBenchMetrics, NumbersThatAreRight) {
  EXPECT_EQ(grade("retrieval_score", "Paragraph 3 or 4", {"Paragraph 3"}), 50.0);
  EXPECT_EQ(grade("retrieval_score", "03", {"Paragraph 3"}), 0.0);
  EXPECT_EQ(grade("retrieval_zh_score", "段落3", {"段落3"}), 100.0);
  EXPECT_EQ(grade("count_score", "17", {"17"}), 100.0);
  EXPECT_EQ(grade("count_score", "none", {"17"}), 0.0);
  EXPECT_THROW(grade("retrieval_score", "3", {"the third"}), InputError);
}

TEST(LongBenchMetrics, TheFirstLineOfCode) {
  EXPECT_EQ(grade("code_sim_score", "\n\n# a\nx = 1\ny", {"x = 1"}), 100.0);
  EXPECT_EQ(grade("code_sim_score", "# only a comment", {""}), 100.0);
  EXPECT_EQ(grade("code_sim_score", "abcd", {"bcde"}), 75.0);
  EXPECT_EQ(
      grade_share("code_sim_score", {"abx1y2z3w4", {"1-2-3-4-abx"}}, {{"backend", "levenshtein"}}),
      0.38);
  EXPECT_THROW(grade_share("code_sim_score", {"a", {"a"}}, {{"backend", "edlib"}}), InputError);
}

}  // namespace
}  // namespace kvbench
