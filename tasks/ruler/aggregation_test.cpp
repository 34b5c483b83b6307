// cwe and fwe, end to end, on made-up words.
#include <fmt/format.h>

#include <cstdlib>
#include <set>

#include "tasks/ruler/aggregation_check.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/ruler/test_generate.h"

namespace kvbench::ruler {
namespace {

class Aggregation : public GeneratorTest {
 protected:
  Aggregation() {
    std::string words;
    for (int i = 0; i < 3000; ++i) words += fmt::format("{}\n", word(i));
    write("words/nounlist.txt", words);
    write("words/adjectivelist.txt", "ad hoc\n" + word(1) + "\n");
    write("words/verblist.txt", "run\n");
  }

  // Letters only, as the counter of these tests takes them for one word.
  static std::string word(int i) {
    std::string letters = "w";
    for (; i > 0; i /= 26) letters += static_cast<char>('a' + i % 26);
    return letters;
  }
};

TEST_F(Aggregation, CommonWordsHaveTheOfficialStructure) {
  for (const int64_t length : {1024, 2048, 4096, 8192}) {
    std::map<size_t, std::set<std::vector<std::vector<size_t>>>> places, examples;
    std::set<std::string> texts;
    int64_t longest = 0;
    for (const RulerRecord& record : generate_ruler("ruler/cwe", length, 20, 42, count_tokens)) {
      SCOPED_TRACE(fmt::format("length {} sample {}", length, record.line));
      const CommonWordsCheck check = check_common_words(record, length);
      places[check.distinct].insert(check.places);
      examples[0].insert(check.example);
      texts.insert(record.input);
      EXPECT_EQ(record.index, record.line);
      EXPECT_EQ(record.length, count_tokens(record.prompt()) + 120);
      EXPECT_LE(*record.length, length);
      longest = std::max(longest, *record.length);
    }
    EXPECT_EQ(texts.size(), 20u);
    EXPECT_EQ(examples[0].size(), 1u) << "a fixed shuffle";
    for (const auto& [distinct, fixed] : places) {
      EXPECT_EQ(fixed.size(), 1u) << "a fixed shuffle, " << distinct << " words";
      EXPECT_EQ((places.rbegin()->first - distinct) % 10, 0u);
    }
    EXPECT_GT(longest, length - (length < 4096 ? 20 : 60)) << length;
  }
}

TEST_F(Aggregation, MoreWordsComeFromTheSecondList) {
  // About 3000 words stand once in a task of 15000 tokens, which is below 4096 only for the shape.
  const auto error = input_error([&] { generate_ruler("ruler/cwe", 65536, 1, 42, count_tokens); });
  EXPECT_NE(error.find("data/english_words.json: missing or too short: ruler/cwe of length 65536 "
                       "needs more than 3002 different words; put RULER's list there"),
            std::string::npos)
      << error;

  std::string json = "{";
  for (int i = 0; i < 9000; ++i) json += fmt::format("\"{}\": \"x{}\", ", i, word(i));
  write("english_words.json", json + "\"last\": \"y\"}");
  for (const RulerRecord& record : generate_ruler("ruler/cwe", 65536, 2, 42, count_tokens)) {
    const CommonWordsCheck check = check_common_words(record, 65536);
    EXPECT_GT(check.distinct, 3002u);
    for (const std::string& output : record.outputs) EXPECT_EQ(output[0], 'x');
    EXPECT_GT(*record.length, 65000);
  }

  write("english_words.json", R"({"1": 2})");
  EXPECT_NE(input_error([&] {
              generate_ruler("ruler/cwe", 65536, 1, 42, count_tokens);
            }).find("english_words.json: 1: expected a string, got 2"),
            std::string::npos);
}

TEST_F(Aggregation, FrequentWordsHaveTheOfficialStructure) {
  for (const int64_t length : {1024, 2048, 4096, 8192}) {
    std::map<int64_t, std::set<std::vector<size_t>>> patterns;
    std::set<std::vector<std::string>> outputs;
    for (const RulerRecord& record : generate_ruler("ruler/fwe", length, 20, 42, count_tokens)) {
      SCOPED_TRACE(fmt::format("length {} sample {}", length, record.line));
      const FrequentWordsCheck check = check_frequent_words(record, length);
      patterns[check.words].insert(check.pattern);
      outputs.insert(record.outputs);
      EXPECT_EQ(record.length, count_tokens(record.prompt()) + 50);
      EXPECT_LE(*record.length, length);
      // The next size was too long: sizes are a 32nd of the length apart, three tokens a word here.
      EXPECT_GT(*record.length, length * 8 / 10);
    }
    EXPECT_EQ(outputs.size(), 20u) << "new words for every sample";
    for (const auto& [words, fixed] : patterns) EXPECT_EQ(fixed.size(), 1u) << "a fixed shuffle";
  }
}

TEST_F(Aggregation, CountsFollowTheZetaDistribution) {
  // 402 * 6 / pi^2 = 244.38
  EXPECT_EQ(zeta_counts(402, 19, 2.0),
            (std::vector<int64_t>{244, 61, 27, 15, 9, 6, 4, 3, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0}));
}

TEST_F(Aggregation, TooShortLengthsAreRefused) {
  const auto error = [&](const std::string& task, int64_t length) {
    return input_error([&] { generate_ruler(task, length, 1, 42, count_tokens); });
  };
  EXPECT_EQ(error("ruler/cwe", 300).substr(0, 36), "ruler/cwe: length 300 is too small: ");
  EXPECT_EQ(error("ruler/fwe", 240),
            "ruler/fwe: length 240 is too small: its vocabulary of 4 words needs 250 tokens");
  const std::string error_250 = input_error([&] {
    generate_ruler("ruler/fwe", 250, 1, 42,
                   [](std::string_view text) { return 10 * count_tokens(text); });
  });
  EXPECT_EQ(error_250.substr(0, 60),
            "ruler/fwe: length 250 is too small: the shortest sample drawn");
}

}  // namespace
}  // namespace kvbench::ruler
