#include "harness/text/regex.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "harness/base/error.h"
#include "harness/base/json_view.h"

namespace kvbench::text {
namespace {

// "[match]" and "gap" in order.
std::string marked(const Regex& regex, std::string_view text) {
  std::vector<Regex::Span> spans;
  regex.find_spans(text, spans);
  std::string out;
  for (const auto& span : spans) {
    const std::string part(text.substr(span.begin, span.end - span.begin));
    out += span.match ? "[" + part + "]" : part;
  }
  return out;
}

TEST(Regex, MatchesAndGapsCoverTheText) {
  EXPECT_EQ(marked(Regex("a+", "test"), "xaayab"), "x[aa]y[a]b");
  EXPECT_EQ(marked(Regex("a", "test"), ""), "");
  EXPECT_EQ(marked(Regex("\\s+(?!\\S)|\\s+", "test"), "a   b "), "a[  ][ ]b[ ]");
  EXPECT_EQ(marked(Regex("(?i:'s|'t)|é", "test"), "it'S é"), "it['S] [é]");
}

TEST(Regex, EmptyMatchesStandBetweenCharacters) {
  EXPECT_EQ(marked(Regex("x*", "test"), "éxb"), "[]é[x]b[]");
  EXPECT_EQ(marked(Regex::literal("", "test"), "ab"), "[]a[]b[]");
}

TEST(Regex, LiteralsAreNotPatterns) {
  EXPECT_EQ(marked(Regex::literal("a.b", "test"), "axba.b"), "axb[a.b]");
  EXPECT_EQ(marked(Regex::literal("\\Q(", "test"), "\\Q("), "[\\Q(]");
}

TEST(Regex, WhiteSpaceIsUnicodesProperty) {
  // U+0085 and U+3000 are white space; U+180E (since Unicode 6.3) and U+200B are not.
  EXPECT_EQ(marked(Regex("\\s", "test"), "\u0085\u180e\u200b\u3000"),
            "[\u0085]\u180e\u200b[\u3000]");
  EXPECT_EQ(marked(Regex("[^\\S\\n]", "test"), " \n\u00a0"), "[ ]\n[\u00a0]");
}

TEST(Regex, TranslatesWhatDiffers) {
  EXPECT_EQ(translate_regex("[^\\s\\p{L}]\\S\\d\\.", "test"),
            "[^\\p{White_Space}\\p{L}]\\P{White_Space}\\d\\.");
  EXPECT_EQ(translate_regex("\\p{Han}\\P{Lu}\\p{^N}", "test"), "\\p{sc:Han}\\P{Lu}\\p{^N}");
  EXPECT_EQ(marked(Regex("\\w+", "test"), "ab\u0301_-1"), "[ab\u0301_]-[1]");
}

TEST(Regex, RefusesWhatMeansSomethingElse) {
  for (const char* pattern : {"\\ha",      "\\Ga",         "\\Ra",
                              "\\Xa",      "(a)\\1",       "\\k<n>",
                              "[[:foo:]]", "[[:^alpha:]]", "[]a]",
                              "[a&&]",     "[\\W]",        "(?x:a)",
                              "(?)",       "(?#a)",        "(?<>a)",
                              "(?<n a)",   "(?(1)a)",      "(?~a)",
                              "(*FAIL)",   "a{,}",         "{2}",
                              "|{2}",      "a{x}",         "\\p",
                              "\\p{",      "\\p{}",        "\\p{L",
                              "\\p{a b}",  "[a",           "[a&&b",
                              "[[a]",      "[[:alpha:",    "(a",
                              "(?i",       "a)",           "*a",
                              "a+*",       "\\",           "\\p{NoSuchScript}",
                              "a{99999}",  "\\x{110000}",  "\\xe9",
                              "\\x{}",     "\\u12",        "\\ud800"}) {
    EXPECT_THROW(Regex(pattern, "test"), InputError) << pattern;
  }
}

// Pieces of Split (testdata/make_fixtures.py): Oniguruma in Ruby's syntax.
TEST(Regex, CutsAsThePythonPackageDoes) {
  const auto expected =
      read_json(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/regexes.json");
  const auto texts = expected.at("texts").get<std::vector<std::string>>();
  EXPECT_GE(expected.at("patterns").size(), 80u);
  for (const auto& row : expected.at("patterns")) {
    const Regex regex(row.at("pattern").get<std::string>(), "test");
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<Regex::Span> spans;
      regex.find_spans(texts[i], spans);
      std::vector<std::string> isolated, removed;
      for (const auto& span : spans) {
        const std::string part = texts[i].substr(span.begin, span.end - span.begin);
        if (part.empty()) continue;
        isolated.push_back(part);
        if (!span.match) removed.push_back(part);
      }
      EXPECT_EQ(isolated, row.at("isolated")[i].get<std::vector<std::string>>())
          << row.at("pattern") << " on " << nlohmann::json(texts[i]);
      EXPECT_EQ(removed, row.at("removed")[i].get<std::vector<std::string>>())
          << row.at("pattern") << " on " << nlohmann::json(texts[i]);
    }
  }
}

// Of every start of a text, what is settled stands in the spans of the whole.
TEST(Regex, SettledSpansAreThoseOfTheWholeText) {
  const auto expected =
      read_json(std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/regexes.json");
  size_t n_patterns = 0, n_settled = 0;
  for (const auto& row : expected.at("patterns")) {
    const Regex regex(row.at("pattern").get<std::string>(), "test");
    if (!regex.forgets()) continue;
    ++n_patterns;
    for (const auto& item : expected.at("texts")) {
      const auto text = item.get<std::string>();
      std::vector<Regex::Span> whole, settled;
      regex.find_spans(text, whole);
      for (size_t end = 0; end <= text.size(); ++end) {
        if (end < text.size() && (text[end] & 0xC0) == 0x80) continue;
        regex.find_settled_spans(std::string_view(text).substr(0, end), settled);
        n_settled += settled.size();
        ASSERT_LE(settled.size(), whole.size());
        for (size_t i = 0; i < settled.size(); ++i) {
          EXPECT_TRUE(settled[i].begin == whole[i].begin && settled[i].end == whole[i].end &&
                      settled[i].match == whole[i].match)
              << row.at("pattern") << " on " << item << " up to " << end << ", span " << i;
        }
      }
    }
  }
  EXPECT_GE(n_patterns, 20u);
  EXPECT_GE(n_settled, 1000u);
}

TEST(Regex, WhatForgets) {
  for (const char* pattern : {"a", "[^a]+", R"(\^a)", R"([a^])", R"(\s+(?!\S))", "a$"}) {
    EXPECT_TRUE(Regex(pattern, "test").forgets()) << pattern;
  }
  for (const char* pattern : {"^a", "b|^a", R"(\Aa)", R"(\[^a)", R"(\ba)", "(?<=b)a", "a*", "a|"}) {
    EXPECT_FALSE(Regex(pattern, "test").forgets()) << pattern;
  }
}

TEST(Regex, DeeplyNestedClassesAreRefused) {
  EXPECT_THROW(Regex(std::string(100000, '['), "test"), InputError);
  EXPECT_THROW(Regex("[" + std::string(20, '[') + "a" + std::string(21, ']'), "test"), InputError);
}

TEST(Regex, ARunawayPatternIsAnError) {
  const Regex regex("(?:a+)+b|(?:a|aa)+c", "test");
  std::vector<Regex::Span> spans;
  EXPECT_THROW(regex.find_spans(std::string(200, 'a'), spans), InputError);
}

}  // namespace
}  // namespace kvbench::text
