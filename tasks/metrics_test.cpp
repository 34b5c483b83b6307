#include "tasks/metrics.h"

#include <gtest/gtest.h>

#include <string>

#include "harness/base/test_util.h"
#include "tasks/ruler/string_match.h"
#include "tasks/test_samples.h"

namespace kvbench {
namespace {

using namespace std::string_literals;

TEST(Metrics, SharesOfReferencesFound) {
  EXPECT_EQ(grade("string_match_all", "1234567, 2345678", {"1234567", "2345678", "3", "9"}), 75.0);
  EXPECT_EQ(grade("string_match_part", "b", {"a", "b"}), 100.0);
  EXPECT_EQ(grade("string_match_part", "c", {"a", "b"}), 0.0);
  EXPECT_EQ(grade("string_match_all", "", {"a"}), 0.0);
  EXPECT_EQ(grade("string_match_all", "", {""}), 100.0);  // an empty reference always hits
  EXPECT_NEAR(grade("string_match_all", "x", {"x", "x", "y"}), 200.0 / 3, 1e-12);
}

TEST(Metrics, ControlCharactersSplitOfficiallyAndVanishInKvpress) {
  EXPECT_EQ(grade("string_match_all", "12\t34", {"1234"}), 0.0);
  EXPECT_EQ(grade("string_match_all_kvpress", "12\t34", {"1234"}), 100.0);
  EXPECT_EQ(grade("string_match_part_kvpress", "pud\0ding"s, {"pudding"}), 100.0);
  EXPECT_EQ(grade("string_match_all", "a\tb", {"a\nb"}), 100.0);
}

TEST(Metrics, FullUnicodeLowerCasing) {
  EXPECT_EQ(grade("string_match_all", "ÉCOLE", {"école"}), 100.0);
  EXPECT_EQ(grade("string_match_all", "ΟΔΟΣ", {"οδοσ"}), 0.0);  // the last one is a final sigma
  EXPECT_EQ(grade("string_match_all", "ΟΔΟΣ", {"οδος"}), 100.0);
  EXPECT_EQ(grade("string_match_all", "İ", {"i\u0307"}), 100.0);
  EXPECT_EQ(grade("string_match_all", "STRASSE", {"straße"}), 0.0);
}

TEST(Metrics, BytesThatAreNotUtf8DoNotHurt) {
  EXPECT_EQ(grade("string_match_all", "\xff\xc3 needle \xe2\x82", {"needle"}), 100.0);
  EXPECT_EQ(grade("string_match_all", "\xff", {"\uFFFD"}), 100.0);
  EXPECT_EQ(ruler::clean_prediction(ruler::ControlCharacters::kNewline, "\xc0 x"), "\uFFFD x");
}

TEST(Metrics, StripsWhatPythonStrips) {
  const auto clean = [](const std::string& text) {
    return ruler::clean_prediction(ruler::ControlCharacters::kNewline, text);
  };
  EXPECT_EQ(clean("\u3000\u00a0\u0085\x1c x \u2028\u205f"), "x");
  EXPECT_EQ(clean("\u200b"), "\u200b");
  EXPECT_EQ(clean("\ufeffx"), "\ufeffx");
  EXPECT_EQ(clean("\x01 x \x02"), "x");  // becomes a newline, which the second strip takes
}

TEST(Metrics, TaskScoreIsRoundedFromTheBinaryValue) {
  std::vector<ruler::GradedSample> samples(32, {"nothing", {"needle"}});
  samples[0].prediction = "Needle";
  EXPECT_EQ(ruler::task_score("string_match_all", samples), "3.12");  // 3.125, a tie to even
  samples[1].prediction = samples[2].prediction = "Needle";
  EXPECT_EQ(ruler::task_score("string_match_all", samples), "9.38");
  EXPECT_EQ(ruler::empty_predictions({{" \t\n", {"a"}}, {"a", {"a"}}}), "1/2");
}

TEST(Metrics, ExactMatchIgnoresNothingButTheEnds) {
  EXPECT_EQ(grade("exact_match", "\u3000Paragraph 3\n", {"Paragraph 4", "Paragraph 3"}), 100.0);
  EXPECT_EQ(grade("exact_match", "Paragraph 3.", {"Paragraph 3"}), 0.0);
  EXPECT_EQ(grade("exact_match", "paragraph 3", {"Paragraph 3"}), 0.0);
  EXPECT_EQ(grade("exact_match", "Paragraph  3", {"Paragraph 3"}), 0.0);
  EXPECT_EQ(grade("exact_match", "", {}), 0.0);
}

TEST(Metrics, ParametersAreCheckedByTheMetric) {
  EXPECT_EQ(
      grade_share("code_sim_score", {"abx1y2z3w4", {"1-2-3-4-abx"}}, {{"backend", "levenshtein"}}),
      0.38);
  const auto graded_with = [](const char* key, const char* value) {
    return error_of([&] { grade_share("code_sim_score", {"a", {"a"}}, {{key, value}}); });
  };
  EXPECT_NE(graded_with("backend", "edlib").find("difflib"), std::string::npos);
  EXPECT_NE(graded_with("bakend", "difflib").find("did you mean backend"), std::string::npos)
      << graded_with("bakend", "difflib");
}

TEST(Metrics, WrongRequestsSayWhatIsWrong) {
  try {
    grade("string_match_al", "a", {"a"});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean string_match_all"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(grade("string_match_all", "a", {}), InputError);
  EXPECT_THROW(ruler::task_score("string_match_all", {}), InputError);
  EXPECT_THROW(ruler::task_score("string_match_all", {{"a", {}}}), InputError);
  for (const std::string& name : metric_names()) {
    if (!name.starts_with("string_match")) continue;
    EXPECT_EQ(grade(name, "a", {"A"}), 100.0);
  }
}

TEST(Metrics, DistinctNgramsOfWords) {
  // a b c d e: two 4-grams; a a a a a a: three, all the same.
  EXPECT_EQ(grade("distinct_ngrams", "a b c d e", {}), 100.0);
  EXPECT_NEAR(grade("distinct_ngrams", " a a  a\na a a ", {}), 100.0 / 3, 1e-12);
  EXPECT_EQ(grade("distinct_ngrams", "a a a", {}), 100.0);
  EXPECT_EQ(grade("distinct_ngrams", "", {}), 100.0);
  const Grading pairs = {.metric = "distinct_ngrams", .parameters = {{"n", "2"}}};
  EXPECT_EQ(score_of(pairs, {"a b a b a", {}}), 50);
}

}  // namespace
}  // namespace kvbench
