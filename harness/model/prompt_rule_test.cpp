// How a protocol's rule makes a prompt of a sample's pieces.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "harness/base/test_util.h"
#include "harness/model/prompt.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRoom = 4096;

// A folder with the tests' tokenizer, which adds BOS, and a template that writes it too.
class PromptRules : public testing::Test {
 protected:
  PromptRules() {
    fs::create_directories(folder_);
    fs::copy_file(fs::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json",
                  folder_ / "tokenizer.json");
    std::ofstream(folder_ / "tokenizer_config.json")
        << R"({"add_bos_token": true, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"})";
    std::ofstream(folder_ / "chat_template.jinja")
        << "{{ bos_token }}<u>{{ messages[0].content }}</u>A:";
    format_.emplace(folder_, ChatTemplateUse::kYes);
    plain_.emplace(folder_, ChatTemplateUse::kNo);
  }

  static std::string text(const Prompt& prompt) {
    return prompt.context_text + "|" + prompt.question_text;
  }
  std::string decoded(const std::vector<int32_t>& ids) const {
    return format_->tokenizer().decode(ids, /*skip_special_tokens=*/false);
  }

  const InTempDir dir_;
  const fs::path folder_ = fs::current_path() / "model";
  std::optional<PromptFormat> format_, plain_;
  const Sample sample_ = {.context = "The sky is blue.\n",
                          .question = "Which colour? ",
                          .answer_prefix = "It is",
                          .references = {"blue"}};
};

TEST_F(PromptRules, WhereTheAnswerPrefixStands) {
  PromptRule rule;
  EXPECT_EQ(text(format_->prompt(sample_, rule, false, kRoom)),
            "<|endoftext|><u>The sky is blue.\n|Which colour? </u>A:It is");
  EXPECT_EQ(text(format_->prompt(sample_, rule, true, kRoom)),
            "<|endoftext|><u>The sky is blue.\nWhich colour? |</u>A:It is");
  rule.prefix_in_turn = true;
  EXPECT_EQ(text(format_->prompt(sample_, rule, false, kRoom)),
            "<|endoftext|><u>The sky is blue.\n|Which colour? It is</u>A:");
  EXPECT_EQ(text(format_->prompt(sample_, rule, true, kRoom)),
            "<|endoftext|><u>The sky is blue.\nWhich colour? It is|</u>A:");
}

TEST_F(PromptRules, Frames) {
  PromptRule rule;
  EXPECT_EQ(text(plain_->prompt(sample_, rule, false, kRoom)),
            "<|endoftext|>The sky is blue.\n|Which colour? \nIt is");
  rule.plain_tail = "";
  EXPECT_EQ(text(plain_->prompt(sample_, rule, false, kRoom)),
            "<|endoftext|>The sky is blue.\n|Which colour? It is");
  rule.frame = PromptRule::Frame::kPlain;
  EXPECT_EQ(text(format_->prompt(sample_, rule, false, kRoom)),
            "<|endoftext|>The sky is blue.\n|Which colour? It is");
  rule.frame = PromptRule::Frame::kBare;
  EXPECT_EQ(text(format_->prompt(sample_, rule, false, kRoom)),
            "The sky is blue.\n|Which colour? It is");
  rule = {};
  rule.second_bos = true;
  EXPECT_TRUE(format_->prompt(sample_, rule, false, kRoom)
                  .context_text.starts_with("<|endoftext|><|endoftext|><u>The"));
}

// Tokens that reach over the border belong to what is asked.
TEST_F(PromptRules, OneTextIsTokenisedAsOne) {
  PromptRule rule;
  rule.as_one_text = true;
  Sample sample = sample_;
  sample.context = "The sky is bl";
  sample.question = "ue. Which colour?";
  const Prompt prompt = format_->prompt(sample, rule, false, kRoom);
  std::vector<int32_t> ids = prompt.context;
  ids.insert(ids.end(), prompt.question.begin(), prompt.question.end());
  EXPECT_EQ(ids, format_->tokenizer().encode(prompt.context_text + prompt.question_text));
  EXPECT_TRUE(prompt.context_text.starts_with(decoded(prompt.context)));
  rule.as_one_text = false;
  const Prompt apart = format_->prompt(sample, rule, false, kRoom);
  EXPECT_EQ(decoded(apart.context), apart.context_text);
}

TEST_F(PromptRules, TheMiddleIsCutOut) {
  PromptRule rule;
  rule.cut = PromptRule::Cut::kMiddle;
  rule.prefix_in_turn = true;
  rule.max_length = 60;
  Sample sample = sample_;
  EXPECT_EQ(format_->prompt(sample, rule, false, kRoom).n_cut, 0);
  for (int i = 0; i < 100; ++i) sample.context += "word" + std::to_string(i) + " ";
  const auto whole = format_->tokenizer().encode("<|endoftext|>" + sample.context +
                                                 sample.question + sample.answer_prefix);
  const Prompt prompt = format_->prompt(sample, rule, false, kRoom);
  EXPECT_EQ(prompt.n_cut, static_cast<int64_t>(whole.size()) - 60);
  // BOS counts and is not decoded.
  const auto part = [&](size_t begin, size_t end) {
    return format_->tokenizer().decode({whole.begin() + static_cast<std::ptrdiff_t>(begin),
                                        whole.begin() + static_cast<std::ptrdiff_t>(end)},
                                       /*skip_special_tokens=*/true);
  };
  const std::string turn = part(0, 30) + part(whole.size() - 30, whole.size());
  EXPECT_EQ(prompt.context_text + prompt.question_text, "<|endoftext|><u>" + turn + "</u>A:");
  EXPECT_TRUE(prompt.question_text.starts_with("Which colour? It is")) << prompt.question_text;
  // A question longer than a half is no piece of its own any more.
  rule.max_length = 6;
  EXPECT_EQ(format_->prompt(sample, rule, false, kRoom).question_text, "</u>A:");
  // Without a limit the model's room is one.
  rule.max_length = 0;
  const Prompt roomy = format_->prompt(sample, rule, false, 100);
  EXPECT_GT(roomy.n_cut, 0);
  EXPECT_LE(roomy.context.size() + roomy.question.size(), 100u);
}

TEST_F(PromptRules, TheContextsEndIsCutOff) {
  PromptRule rule;
  rule.cut = PromptRule::Cut::kEnd;
  rule.max_length = 12;
  Sample sample = sample_;
  for (int i = 0; i < 100; ++i) sample.context += "word" + std::to_string(i) + " ";
  const auto whole = format_->tokenizer().encode("<|endoftext|><u>" + sample.context);
  const Prompt prompt = format_->prompt(sample, rule, false, kRoom);
  EXPECT_EQ(prompt.context, std::vector<int32_t>(whole.begin(), whole.begin() + 12));
  EXPECT_EQ(prompt.n_cut, static_cast<int64_t>(whole.size()) - 12);
  EXPECT_EQ(prompt.question_text, "Which colour? </u>A:It is");
  rule.max_length = 0;
  const Prompt roomy = format_->prompt(sample, rule, false, 100);
  EXPECT_EQ(roomy.context.size() + roomy.question.size(), 100u);
}

// As Llama 3's template: `content | trim`.
TEST_F(PromptRules, ATemplateThatTrims) {
  std::ofstream(folder_ / "chat_template.jinja")
      << "{{ bos_token }}<u>{{ messages[0].content | trim }}</u>A:";
  const PromptFormat trims(folder_, ChatTemplateUse::kYes);
  EXPECT_TRUE(trims.chat_template()->trims_start && trims.chat_template()->trims_end);
  EXPECT_FALSE(format_->chat_template()->trims_start || format_->chat_template()->trims_end);
  const Sample sample = {.context = "\n The sky is blue.\n",
                         .question = "Which colour? ",
                         .answer_prefix = "The answer is: ",
                         .references = {"blue"}};
  PromptRule rule;
  EXPECT_EQ(text(trims.prompt(sample, rule, false, kRoom)),
            "<|endoftext|><u>The sky is blue.\n|Which colour? </u>A:The answer is: ");
  rule.prefix_in_turn = rule.as_one_text = true;
  EXPECT_EQ(text(trims.prompt(sample, rule, false, kRoom)),
            "<|endoftext|><u>The sky is blue.\n|Which colour? The answer is:</u>A:");
  EXPECT_EQ(text(format_->prompt(sample, rule, false, kRoom)),
            "<|endoftext|><u>\n The sky is blue.\n|Which colour? The answer is: </u>A:");
  Sample empty = sample;
  empty.question = empty.answer_prefix = "";
  EXPECT_EQ(text(trims.prompt(empty, rule, false, kRoom)),
            "<|endoftext|><u>The sky is blue.|</u>A:");
  rule.frame = PromptRule::Frame::kPlain;
  EXPECT_TRUE(text(trims.prompt(sample, rule, false, kRoom))
                  .ends_with("The answer is: "
                             "\n"));
}

TEST_F(PromptRules, EndTokens) {
  const ModelConfig model;
  const auto id = [&](const char* token) {
    return static_cast<int64_t>(format_->tokenizer().token_id(token));
  };
  EXPECT_EQ(format_->end_tokens(model), std::vector<int64_t>{id("<|im_end|>")});
  EXPECT_EQ(format_->end_tokens(model, StopRule::Ends::kEosOrNewline),
            (std::vector<int64_t>{id("<|im_end|>"), format_->tokenizer().encode("\n").back()}));
}

}  // namespace
}  // namespace kvbench
