#include "tasks/ruler/split.h"

#include "tasks/ruler/test_files.h"

namespace kvbench::ruler {
namespace {

TEST(Split, LastQuestionThenFirstPrefix) {
  const auto parts = split_prompt("variable_tracking",
                                  "Question: Find all variables that are assigned the value 1? "
                                  "Answer: x\n\nmain\nQuestion: Find all variables that are "
                                  "assigned the value 2? Answer: they Answer: are: ",
                                  "f");
  EXPECT_EQ(parts.context,
            "Question: Find all variables that are assigned the value 1? Answer: x\n\nmain\n");
  EXPECT_EQ(parts.question, "Question: Find all variables that are assigned the value 2? ");
  EXPECT_EQ(parts.answer_prefix, "Answer: they Answer: are: ");
}

TEST(Split, NiahAsksInSingularOrPlural) {
  for (const std::string question : {"What is the special magic number for x?",
                                     "What are all the special magic numbers for x?"}) {
    const auto parts =
        split_prompt("niah", "text\n" + question + " The special magic number is", "f");
    EXPECT_EQ(parts.context, "text\n");
    EXPECT_EQ(parts.question, question + " ");
    EXPECT_EQ(parts.answer_prefix, "The special magic number is");
  }
}

TEST(Split, QaRepeatsItsInstruction) {
  const std::string rule =
      "Answer the question based on the given documents. Only give me the answer.";
  const auto parts = split_prompt(
      "qa", rule + "\n\nDocument 1:\nText\n\n" + rule + "\n\nQuestion: q Answer:", "f");
  EXPECT_EQ(parts.context, rule + "\n\nDocument 1:\nText\n\n");
  EXPECT_EQ(parts.question, rule + "\n\nQuestion: q ");
  EXPECT_EQ(parts.answer_prefix, "Answer:");
}

TEST(Split, WithoutAnswerPrefixTheInputIsLeft) {
  const std::string input = "text\nWhat is the special magic number for x mentioned?";
  const auto parts =
      without_answer_prefix(split_prompt("niah", input + " The special magic number is", "f"));
  EXPECT_EQ(parts.context + parts.question, input);
  EXPECT_EQ(parts.answer_prefix, "");
}

TEST(Split, Ruler2HasNoAnswerPrefix) {
  const std::string question =
      "What is the special magic number for x mentioned in the provided text? The special magic "
      "number for x mentioned in the provided text is";
  for (const auto& parts :
       {split_prompt("niah_ruler2", "text\n" + question, "f"),
        without_answer_prefix(split_prompt("niah_ruler2", "text\n" + question, "f"))}) {
    EXPECT_EQ(parts.context, "text\n");
    EXPECT_EQ(parts.question, question);
    EXPECT_EQ(parts.answer_prefix, "");
  }
}

TEST(Split, PromptsOfAnotherTaskAreRefused) {
  EXPECT_EQ(input_error([] { split_prompt("niah", "text", "f:3"); }),
            "f:3: no question in the prompt, expected \"What is the special magic\" or \"What are "
            "all the special magic\"");
  EXPECT_EQ(input_error([] { split_prompt("niah", "c What is the special magic x?", "f:3"); }),
            "f:3: no answer prefix after the question, expected \"The special magic\"");
  EXPECT_EQ(
      input_error([] { split_prompt("niah", "What is the special magic The special magic", "f"); }),
      "f: the context before the question is empty");
}

}  // namespace
}  // namespace kvbench::ruler
