#include "harness/profile/contexts.h"

#include <gtest/gtest.h>

#include <fstream>

#include "harness/base/error.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

class ContextsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(folder_);
    fs::copy_file(fs::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json",
                  folder_ / "tokenizer.json");
    spec_.count = 3;
    spec_.length = 60;
    spec_.questions = 2;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) {
    spec_.file = folder_ / name;
    std::ofstream(spec_.file, std::ios::binary) << text;
  }
  void write_prose(int n_sentences) {
    std::string text;
    for (int i = 0; i < n_sentences; ++i) {
      text += fmt::format("Sentence number {} speaks of a thing. ", i);
    }
    write("prose.txt", text);
  }
  ProfileContexts load() const { return load_contexts(spec_, PromptFormat(folder_, false)); }
  std::string text_of(const std::vector<int32_t>& ids) const {
    return PromptFormat(folder_, false).tokenizer().decode(ids, true);
  }
  std::string refusal() const {
    try {
      load();
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  fs::path folder_ =
      fs::path(testing::TempDir()) /
      (std::string("contexts_") + testing::UnitTest::GetInstance()->current_test_info()->name());
  ContextsSpec spec_;
};

TEST_F(ContextsTest, PiecesOfProse) {
  write_prose(200);
  const auto [contexts, hash] = load();
  ASSERT_EQ(contexts.size(), 3U);
  EXPECT_EQ(hash.size(), 64U);
  for (const auto& context : contexts) {
    EXPECT_EQ(context.tokens.size(), 60U);
    EXPECT_TRUE(text_of(context.tokens).starts_with("Sentence number ")) << text_of(context.tokens);
    ASSERT_EQ(context.questions.size(), 2U);
  }
  EXPECT_NE(contexts[0].tokens, contexts[1].tokens);
  EXPECT_NE(text_of(contexts[0].questions[0]).find("Answer:"), std::string::npos);
  // More contexts begin with the same ones, and another seed gives others.
  spec_.count = 5;
  EXPECT_EQ(load().contexts[2].tokens, contexts[2].tokens);
  EXPECT_EQ(load().contexts[2].questions, contexts[2].questions);
  spec_.seed = 43;
  EXPECT_NE(load().contexts[0].tokens, contexts[0].tokens);
}

TEST_F(ContextsTest, ShortProseIsRefused) {
  write_prose(2);
  EXPECT_NE(refusal().find("too short"), std::string::npos) << refusal();
}

TEST_F(ContextsTest, QuestionsQuoteTheText) {
  const std::string text = "The first. One is red. Two is blue. Three is gr";
  const auto questions = generate_questions(text, 20, 1);
  EXPECT_EQ(questions, generate_questions(text, 20, 1));
  for (const auto& question : questions) {
    EXPECT_TRUE(question.find("\"One") != question.npos || question.find("\"Two") != question.npos)
        << question;
  }
}

TEST_F(ContextsTest, LinesOfJson) {
  write("a.jsonl", R"({"context": "A text.", "questions": ["Why?", "How?"]})"
                   "\n\n"
                   R"({"context": "Another.", "questions": ["Who?"], "answer_prefix": "It is"})"
                   "\n");
  spec_.count = 0;
  const auto contexts = load().contexts;
  ASSERT_EQ(contexts.size(), 2U);
  EXPECT_EQ(text_of(contexts[0].tokens), "A text.");
  EXPECT_EQ(contexts[0].questions.size(), 2U);
  EXPECT_EQ(text_of(contexts[1].questions[0]), "\nWho?\nIt is");
  spec_.length = 2;
  EXPECT_EQ(load().contexts[0].tokens.size(), 2U);
  spec_.count = 3;
  EXPECT_NE(refusal().find("holds 2 contexts, expected 3"), std::string::npos) << refusal();
}

TEST_F(ContextsTest, LinesThatAreWrong) {
  const auto refusal_of = [&](const std::string& line) {
    write("a.jsonl", "\n" + line + "\n");
    spec_.count = 0;
    return refusal();
  };
  EXPECT_NE(refusal_of("{").find("a.jsonl:2: expected a JSON object"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A"})").find("questions is missing"), std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": 3, "questions": ["a"]})").find("context: expected a text"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A", "questions": []})").find("expected a list"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"contex": "A"})").find("did you mean context?"), std::string::npos);
  EXPECT_NE(refusal_of("").find("holds 0 contexts"), std::string::npos);
}

}  // namespace
}  // namespace kvbench
