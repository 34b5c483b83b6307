// The cutting of Chinese words over a dictionary of a few words; harness/golden compares it with
// jieba over its own.
#include "tasks/longbench/jieba.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"
#include "tasks/text.h"

namespace kvbench::longbench {
namespace {

class JiebaWords : public testing::Test {
 protected:
  static void write(const std::string& dictionary, const std::string& model) {
    InTempDir::write("dict.txt", dictionary);
    InTempDir::write("hmm.txt", model);
  }
  static std::string cut(const std::string& text) {
    std::vector<std::string> tokens;
    for (const auto& token : Jieba(".").segment(code_points(text))) {
      tokens.push_back(to_utf8(token));
    }
    return join(tokens, "|");
  }

  const InTempDir here_;
};

// 甲 begins words of two, 乙 ends them.
const std::string kModel =
    "start B -0.5\nstart S -1\ntrans B E -0.1\ntrans E B -0.5\ntrans E S -1\ntrans S B -0.5\n"
    "trans S S -1\nemit B 甲 -1\nemit E 乙 -1\nemit S 丙 -1\n";

TEST_F(JiebaWords, TheMostProbableRowOfWords) {
  write("中国 100 ns\n中国人 10 n\n人民 100 n\n民 1 n\n", kModel);
  EXPECT_EQ(cut("中国人民"), "中国|人民");
  EXPECT_EQ(cut("中国人"), "中国人");
  EXPECT_EQ(cut(""), "");
}

TEST_F(JiebaWords, OfEqualRowsTheLongerFirstWord) {
  // Both rows hold a word of frequency 7 and one of 1.
  write("甲乙 7 n\n乙丙 7 n\n甲 1 n\n丙 1 n\n", kModel);
  EXPECT_EQ(cut("甲乙丙"), "甲乙|丙");
}

TEST_F(JiebaWords, TheModelFindsWordsThatTheDictionaryDoesNotHold) {
  write("中国 1 ns\n", kModel);
  EXPECT_EQ(cut("甲乙丙甲乙"), "甲乙|丙|甲乙");
  EXPECT_EQ(cut("甲乙中国丙"), "甲乙|中国|丙");
  // A row of single characters that is a word stays single characters: here the row of single
  // words is the more probable one.
  write("甲乙 1 n\n甲 1000 n\n乙 1000 n\n", kModel);
  EXPECT_EQ(cut("甲乙"), "甲|乙");
}

TEST_F(JiebaWords, OtherTextsByTheirKind) {
  write("中国 1 ns\n", kModel);
  EXPECT_EQ(cut("Hello, 3.14% a1.b\r\n\n。"), "Hello|,| |3.14%| |a1|.|b|\r\n|\n|。");
  EXPECT_EQ(cut("a+b"), "a|+|b");
  EXPECT_EQ(cut("+-1"), "+-|1");
  EXPECT_EQ(cut("a"), "a");
}

TEST_F(JiebaWords, DamageIsNamedWithItsLine) {
  const auto error = [] { return error_of([] { Jieba("."); }); };
  EXPECT_NE(error().find("setup.sh chinese"), std::string::npos) << error();
  write("中国 1 ns\n中国人 many n\n", kModel);
  EXPECT_EQ(error(), "./dict.txt:2: expected a number, got \"many\"");
  write("中国 1 ns\n中国人\n", kModel);
  EXPECT_EQ(error(), "./dict.txt:2: expected a word and its frequency");
  write("中国 -1 ns\n", kModel);
  EXPECT_EQ(error(), "./dict.txt:1: expected a frequency of 0 to 1e12");
  write("\xff 1 n\n", kModel);
  EXPECT_EQ(error(), "./dict.txt:1: expected UTF-8");
  write("中国 0 ns\n", kModel);
  EXPECT_EQ(error(), "./dict.txt: every frequency in it is 0");
  write("", kModel);
  EXPECT_EQ(error(), "./dict.txt: expected a line at least, got an empty file");
  write("中国 1 ns\n", "start X -1\n");
  EXPECT_EQ(error(), "./hmm.txt:1: expected a state B, M, E or S");
  write("中国 1 ns\n", "start B\n");
  EXPECT_EQ(error(),
            "./hmm.txt:1: expected start STATE P, trans FROM TO P or emit STATE CHARACTER P");
  write("中国 1 ns\n", "emit B 甲乙 -1\n");
  EXPECT_EQ(error(), "./hmm.txt:1: expected one character");
}

}  // namespace
}  // namespace kvbench::longbench
