#include "tasks/ruler/haystack.h"

#include <algorithm>
#include <set>

#include "tasks/ruler/test_files.h"
#include "tasks/ruler/words.h"

namespace kvbench::ruler {
namespace {

using Sentences = std::vector<std::string_view>;

TEST(Haystack, FirstWordsRepeatTheText) {
  const Essay essay("one\n\ntwo\u00a0three");
  EXPECT_EQ(essay.words(), 3);
  EXPECT_EQ(essay.first_words(2), "one two");
  EXPECT_EQ(essay.first_words(3), "one two three");
  EXPECT_EQ(essay.first_words(7), "one two three one two three one");
  EXPECT_EQ(Essay("a b").first_words(6), "a b a b a b");
}

TEST(Haystack, SentencesEndAsPunktEndsThem) {
  EXPECT_EQ(split_sentences("A b. C d? E! f"), (Sentences{"A b.", "C d?", "E!", "f"}));
  EXPECT_EQ(split_sentences("He said \"yes.\" Then (no.) So"),
            (Sentences{"He said \"yes.\"", "Then (no.)", "So"}));
  EXPECT_EQ(split_sentences("good.[2] Technology"), (Sentences{"good.", "[2] Technology"}));
  EXPECT_EQ(split_sentences("end.\"Next one"), (Sentences{"end.", "\"Next one"}));
  EXPECT_EQ(split_sentences("pi 3.14 a.b.c"), (Sentences{"pi 3.14 a.b.c"}));
  EXPECT_EQ(split_sentences("cut here.\""), (Sentences{"cut here.\""}));
  EXPECT_EQ(split_sentences("Wait... what"), (Sentences{"Wait...", "what"}));
  EXPECT_TRUE(split_sentences("").empty());
}

TEST(Haystack, FortyDepths) {
  EXPECT_EQ(depths(), (std::vector<int64_t>{0,  3,  5,  8,  10, 13, 15, 18, 21, 23, 26, 28, 31, 33,
                                            36, 38, 41, 44, 46, 49, 51, 54, 56, 59, 62, 64, 67, 69,
                                            72, 74, 77, 79, 82, 85, 87, 90, 92, 95, 97, 100}));
}

TEST(Haystack, PositionsAreUniformOverTheDepths) {
  Random random(1);
  std::vector<int> counts(101);
  for (int i = 0; i < 4000; ++i) {
    for (const size_t position : draw_sentence_positions(100, 4, random)) ++counts[position];
  }
  for (const int64_t depth : depths()) {  // 400 expected, standard deviation 19
    const auto position = static_cast<size_t>(100 * (static_cast<double>(depth) / 100));
    EXPECT_NEAR(counts[position], 400, 100) << depth;
  }
}

// 150 * 0.82 is 123, in doubles it falls below: Python's int(150 * (82 / 100)) gives 122.
TEST(Haystack, PositionsAreTruncatedInDoubles) {
  Random random(1);
  const std::vector<size_t> all = draw_sentence_positions(150, 40, random);
  EXPECT_EQ(all.size(), 40u);
  EXPECT_EQ(all.back(), 150u);
  EXPECT_NE(std::find(all.begin(), all.end(), 122u), all.end());
  EXPECT_EQ(std::find(all.begin(), all.end(), 123u), all.end());
}

TEST(Haystack, EmptyRunsKeepTheirBlank) {
  const Sentences sentences = {"A.", "B.", "C."};
  EXPECT_EQ(insert_between_sentences(sentences, {0, 2}, {"x", "y"}), " x A. B. y C.");
  EXPECT_EQ(insert_between_sentences(sentences, {1, 1}, {"x", "y"}), "A. x  y B. C.");
  EXPECT_EQ(insert_between_sentences(sentences, {3}, {"x"}), "A. B. C. x ");
}

TEST(Haystack, EssaysAreJoinedInNameOrder) {
  const TemporaryFolder folder;
  folder.write("b.txt", "three four");
  folder.write("a.txt", "one two");
  folder.write("source", "not a text");
  EXPECT_EQ(load_essay(folder.path()).first_words(3), "one twothree four");
  EXPECT_NE(input_error([&] { load_essay(folder.path() / "none"); }).find("none/*.txt: missing"),
            std::string::npos);
}

TEST(Haystack, WordsAreDistinct) {
  const TemporaryFolder folder;
  folder.write("adjectivelist.txt", "red\nblue\nred\nad hoc\n");
  EXPECT_NE(input_error([&] { load_words(folder.path()); }).find("nounlist.txt: missing"),
            std::string::npos);
  folder.write("nounlist.txt", "SUV\njalape\u00f1o");
  const WordLists words = load_words(folder.path());
  Random random(3);
  std::set<std::string> drawn;
  for (int i = 0; i < 200; ++i) drawn.insert(words.draw(random));
  EXPECT_EQ(drawn, (std::set<std::string>{"ad hoc-SUV", "ad hoc-jalape\u00f1o", "blue-SUV",
                                          "blue-jalape\u00f1o", "red-SUV", "red-jalape\u00f1o"}));
}

}  // namespace
}  // namespace kvbench::ruler
