#include "harness/profile/contexts.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "harness/base/error.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

class ContextsTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy_file(fs::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json",
                  folder_ / "tokenizer.json");
    spec_.count = 3;
    spec_.length = 60;
    spec_.questions = 2;
  }

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
  ProfileContexts load() const {
    return load_contexts(spec_, PromptFormat(folder_, ChatTemplateUse::kNo));
  }
  std::string text_of(const std::vector<int32_t>& ids) const {
    return PromptFormat(folder_, ChatTemplateUse::kNo).tokenizer().decode(ids, true);
  }
  std::string refusal() const {
    try {
      load();
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
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

TEST_F(ContextsTest, QuestionsToReciteBeginTheAnswer) {
  const std::string text = "The first. One is red as a rose in May. Two is blue. Three is gr";
  int n_long = 0;
  for (const auto& asked : generate_questions(text, "recite", 20, 1)) {
    const bool is_long = asked.answer_prefix == "Answer: \"One is red as a rose";
    n_long += is_long;
    EXPECT_TRUE(is_long || asked.answer_prefix == "Answer: \"Two is blue.") << asked.answer_prefix;
    const std::string quoted = asked.answer_prefix.substr(std::string("Answer: ").size());
    EXPECT_NE(asked.text.find(quoted + "\" on?"), asked.text.npos) << asked.text;
  }
  EXPECT_GT(n_long, 0);
  EXPECT_LT(n_long, 20);
}

TEST_F(ContextsTest, RecitationsHaveTextBehindThem) {
  std::string text = "Start.";
  for (int i = 0; i < 16; ++i) text += fmt::format(" Number {}.", i);
  for (const auto& asked : generate_questions(text + " End", "recite", 200, 1)) {
    EXPECT_EQ(asked.text.find("\"Number 15."), asked.text.npos);
    EXPECT_EQ(asked.text.find("\"Number 14."), asked.text.npos);
  }
}

TEST_F(ContextsTest, QuestionsToExplainQuoteTheText) {
  const std::string text = "The first. One is red. Two is blue. Three is gr";
  std::set<std::string> kinds;
  for (const auto& asked : generate_questions(text, "explain", 20, 1)) {
    EXPECT_TRUE(asked.text.find("\"One") != asked.text.npos ||
                asked.text.find("\"Two") != asked.text.npos)
        << asked.text;
    EXPECT_EQ(asked.answer_prefix, "Answer:");
    kinds.insert(asked.text.substr(0, 8));
  }
  EXPECT_EQ(kinds.size(), 3U);
}

TEST_F(ContextsTest, TheSameSeedAsksTheSame) {
  const std::string text = "The first. One is red. Two is blue. Three is grey. Four is gr";
  for (const char* ask : {"recite", "explain"}) {
    const auto texts = [&](uint64_t seed) {
      std::string all;
      for (const auto& asked : generate_questions(text, ask, 20, seed)) all += asked.text;
      return all;
    };
    EXPECT_EQ(texts(1), texts(1));
    EXPECT_NE(texts(1), texts(2));
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
  write("b.jsonl", R"({"context": "A text.", "questions": ["Why?", "How?"],)"
                   R"( "answer_prefix": ["Because", "By"]})");
  const auto questions = load().contexts[0].questions;
  EXPECT_EQ(text_of(questions[0]), "\nWhy?\nBecause");
  EXPECT_EQ(text_of(questions[1]), "\nHow?\nBy");
  write("a.jsonl",
        "{\"context\": \"A text.\", \"questions\": [\"Why?\"]}\n\n"
        "{\"context\": \"Another.\", \"questions\": [\"Why?\"]}\n");
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
  EXPECT_NE(refusal_of("{").find("a.jsonl:2: not valid JSON: malformed at byte 2"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A"})").find("\"questions\" is missing"), std::string::npos);
  EXPECT_NE(
      refusal_of(R"({"context": 3, "questions": ["a"]})").find("context: expected a string, got 3"),
      std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A", "questions": []})")
                .find("questions: expected a list of texts, got an empty list"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A", "questions": ["a", "b"], "answer_prefix": ["c"]})")
                .find("a.jsonl:2: answer_prefix: expected a text or 2 of them, found 1"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"context": "A", "questions": ["a"], "answer_prefix": [3]})")
                .find("answer_prefix[0]: expected a string, got 3"),
            std::string::npos);
  EXPECT_NE(refusal_of(R"({"contex": "A"})").find("did you mean context?"), std::string::npos);
  EXPECT_NE(refusal_of("").find("holds 0 contexts"), std::string::npos);
}

}  // namespace
}  // namespace kvbench
