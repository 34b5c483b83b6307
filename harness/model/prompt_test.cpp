#include "harness/model/prompt.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "harness/base/error.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

// A folder with the tests' tokenizer.
class PromptFormats : public testing::Test {
 protected:
  PromptFormats() {
    fs::create_directories(folder_);
    fs::copy_file(fs::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/smollm.json",
                  folder_ / "tokenizer.json");
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name) << text;
  }
  PromptFormat format(ChatTemplateUse use) const { return {folder_, use}; }

  const InTempDir dir_;
  const fs::path folder_ = fs::current_path() / "model";
};

TEST_F(PromptFormats, WithoutTemplate) {
  write("tokenizer_config.json", R"({"add_bos_token": true})");
  write("special_tokens_map.json", R"({"bos_token": "<|endoftext|>"})");
  for (const auto use : {ChatTemplateUse::kNo, ChatTemplateUse::kAuto}) {
    const PromptFormat made = format(use);
    EXPECT_FALSE(made.chat_template());
    EXPECT_EQ(template_text(made), "none");
    EXPECT_EQ(made.prefix(), "<|endoftext|>");
    EXPECT_EQ(made.suffix(), "\n");
    const ContextFrame frame = made.context_frame(PromptRule());
    EXPECT_EQ(frame.n_head, 0);  // BOS is no chat head
    EXPECT_EQ(frame.tail, made.tokenizer().encode("\n"));
  }
  try {
    format(ChatTemplateUse::kYes);
    FAIL() << "a folder without template passed";
  } catch (const InputError& e) {
    EXPECT_NE(std::string(e.what()).find(folder_.string() + ": no chat template"),
              std::string::npos);
    EXPECT_NE(std::string(e.what()).find("chat_template: auto"), std::string::npos);
  }
}

TEST_F(PromptFormats, WithTemplate) {
  write("tokenizer_config.json", R"({"bos_token": "<|endoftext|>", "add_bos_token": true})");
  write("chat_template.jinja",
        "{{ bos_token }}<u>{{ messages[0].content }}</u>{{ strftime_now('%Y') }}");
  for (const auto use : {ChatTemplateUse::kYes, ChatTemplateUse::kAuto}) {
    const PromptFormat made = format(use);
    EXPECT_EQ(template_text(made), "chat_template.jinja, today is 26 Jul 2024");
    EXPECT_EQ(made.prefix(), "<|endoftext|><u>");  // BOS once
    EXPECT_EQ(made.suffix(), "</u>2024");
    EXPECT_EQ(made.context("x"), made.tokenizer().encode("<|endoftext|><u>x"));
    const ContextFrame frame = made.context_frame(PromptRule());
    EXPECT_EQ(frame.n_head, std::ssize(made.tokenizer().encode("<|endoftext|><u>")));
    EXPECT_EQ(frame.tail, made.tokenizer().encode("</u>2024"));
    EXPECT_EQ(frame.encode("x y"), made.tokenizer().encode("x y"));
    EXPECT_EQ(made.context_frame({.frame = PromptRule::Frame::kPlain}).n_head, 0);
  }
  EXPECT_EQ(format(ChatTemplateUse::kNo).prefix(), "<|endoftext|>");
}

TEST_F(PromptFormats, AnswersEndAsTheModelSaysElseAtTheTokenizersEos) {
  ModelConfig model;
  EXPECT_TRUE(format(ChatTemplateUse::kNo).end_tokens(model).empty());
  write("special_tokens_map.json", R"({"eos_token": {"content": "<|im_end|>"}})");
  EXPECT_EQ(format(ChatTemplateUse::kNo).end_tokens(model), (std::vector<int64_t>{2}));
  model.end_tokens = {0, 7};
  EXPECT_EQ(format(ChatTemplateUse::kNo).end_tokens(model), (std::vector<int64_t>{0, 7}));
}

}  // namespace
}  // namespace kvbench
