#include "harness/sweep/needle.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/results/test_run.h"
#include "harness/sweep/test_model.h"

namespace kvbench {
namespace {

class NeedleTest : public testing::Test {
 protected:
  NeedleTest() { test_model::write(folder_ / "model"); }

  test_run::Folder folder_;
};

TEST_F(NeedleTest, SpansAreTheTokensOfThePieces) {
  const PromptFormat format(folder_ / "model", ChatTemplateUse::kNo);
  Sample sample;
  sample.context = "The grass is green. The number for apples is: 1234567. The sky.";
  sample.question = "Which?";
  const Prompt prompt = format.prompt(sample, {}, false, 1000);
  const std::vector<std::string> pieces = {"The sky", "not there", "number for apples is: 1234567"};
  const auto spans = spans_of(format.tokenizer(), prompt, pieces);
  ASSERT_EQ(spans.size(), 2u);
  const auto text = [&](const TokenSpan& span) {
    return format.tokenizer().decode(
        {prompt.context.begin() + span.begin, prompt.context.begin() + span.end}, false);
  };
  for (const auto& [span, piece] :
       {std::pair(spans[0], pieces[0]), std::pair(spans[1], pieces[2])}) {
    EXPECT_NE(text(span).find(piece), std::string::npos) << text(span);
    // No token more than that on either side.
    EXPECT_EQ(text({span.begin + 1, span.end}).find(piece), std::string::npos);
    EXPECT_EQ(text({span.begin, span.end - 1}).find(piece), std::string::npos);
  }
}

TEST_F(NeedleTest, WhatWasCutAwayHasNoSpan) {
  const PromptFormat format(folder_ / "model", ChatTemplateUse::kNo);
  Sample sample;
  sample.context = "One two three four five.";
  Prompt prompt = format.prompt(sample, {}, false, 1000);
  ASSERT_EQ(spans_of(format.tokenizer(), prompt, {"five"}).size(), 1u);
  prompt.context.resize(2);
  EXPECT_TRUE(spans_of(format.tokenizer(), prompt, {"five"}).empty());
}

TEST(Needle, SpansAreJson) {
  EXPECT_EQ(spans_text({{12, 20}, {31, 40}}), "[[12,20],[31,40]]");
  EXPECT_EQ(spans_text({}), "");
  EXPECT_EQ(tokens_of({{5, 7}, {1, 3}, {6, 8}}), (std::vector<int64_t>{1, 2, 5, 6, 7}));
}

TEST(Needle, SharesAreBytes) {
  // Two layers of two heads; tokens 3, 5, 8 and 9 were watched.
  const at::Tensor kept =
      at::tensor({1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1}, at::kByte).view({2, 2, 4});
  EXPECT_EQ(share_text(kept, {3, 5, 8, 9}, {3, 5, 8, 9}), "ff008080");
  EXPECT_EQ(share_text(kept, {3, 5, 8, 9}, {5, 8, 9}), "ff0055aa");
  EXPECT_EQ(share_text({}, {}, {}), "");
  EXPECT_EQ(share_text(kept, {3, 5, 8, 9}, {}), "");
}

TEST(Needle, TailsAreWholeCharacters) {
  Prompt prompt;
  for (int i = 0; i < 200; ++i) prompt.context_text += "\xc3\xa4";
  prompt.question_text = "end";
  const std::string tail = tail_of(prompt);
  EXPECT_EQ(tail.size(), 255u);
  EXPECT_TRUE(tail.starts_with("\xc3\xa4"));
  EXPECT_TRUE(
      tail.ends_with("\xc3\xa4"
                     "end"));
  prompt.context_text = "short ";
  EXPECT_EQ(tail_of(prompt), "short end");
}

}  // namespace
}  // namespace kvbench
