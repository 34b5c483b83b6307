// The tokenizer of SmolLM2-135M-Instruct against the Python package `tokenizers` 0.23.3, and the
// split and chat format of RULER prompts against kvpress (reference folder, ruler/).
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/hash.h"
#include "harness/base/json_view.h"
#include "harness/base/text.h"
#include "harness/golden/golden.h"
#include "harness/text/chat_template.h"
#include "harness/text/tokenizer.h"

namespace kvbench {
namespace {

using Json = nlohmann::json;

#define SKIP_WITHOUT(file) \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << (file) << " is absent"

std::filesystem::path tokenizer_file() { return golden::model_dir() / "tokenizer.json"; }

std::filesystem::path reference() { return golden::reference_root() / "ruler"; }

std::vector<Json> read_lines(const std::filesystem::path& file) {
  std::vector<Json> rows;
  std::ifstream in(file, std::ios::binary);
  for (std::string line; std::getline(in, line);) rows.push_back(Json::parse(line));
  return rows;
}

// SHA-256 of the decimal ids joined with commas, as in the reference files.
std::string ids_sha256(const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += (text.empty() ? "" : ",") + std::to_string(id);
  return sha256_hex(text);
}

TEST(TokenizerGolden, SmolLm2EqualsPythonOnEveryString) {
  SKIP_WITHOUT(tokenizer_file());
  const std::filesystem::path root(KVBENCH_TEST_ROOT);
  const Json texts = read_json(root / "harness/text/testdata/strings.json");
  const Json expected = read_json(root / "harness/golden/smollm2_tokens.json");
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file());
  EXPECT_EQ(tokenizer.vocab_size(), 49152);
  ASSERT_EQ(expected.at("ids").size(), texts.size());
  ASSERT_GE(texts.size(), 500u);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto text = texts[i].get<std::string>();
    const auto want = expected["ids"][i].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), want) << texts[i];
    for (const bool skip : {false, true}) {
      const Json& decoded = expected[skip ? "decoded_skip" : "decoded"][i];
      EXPECT_EQ(tokenizer.decode(want, skip), decoded.is_null() ? text : decoded.get<std::string>())
          << texts[i];
    }
  }
}

TEST(TokenizerGolden, ChatFormatOfSmolLm2) {
  const auto meta_file = reference() / "meta.json";
  SKIP_WITHOUT(tokenizer_file());
  SKIP_WITHOUT(meta_file);
  const Json meta = read_json(meta_file);
  const Json& chat = meta.at("chat");
  EXPECT_EQ(sha256_file(tokenizer_file()), meta.at("tokenizer_json_sha256"));
  const ChatTemplate found = load_chat_template(golden::model_dir()).value();
  EXPECT_EQ(found.file, "chat_template.jinja");
  EXPECT_EQ(found.prefix, chat.at("prefix"));
  EXPECT_EQ(found.suffix, chat.at("suffix"));
  EXPECT_EQ(bos_text(golden::model_dir()), "");
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file());
  EXPECT_EQ(tokenizer.encode(found.prefix), chat.at("prefix_ids").get<std::vector<int32_t>>());
  EXPECT_EQ(tokenizer.encode(found.suffix), chat.at("suffix_ids").get<std::vector<int32_t>>());
}

TEST(TokenizerGolden, RulerPrompts) {
  const auto splits = golden::files_below(reference() / "kvpress_split", ".jsonl");
  SKIP_WITHOUT(tokenizer_file());
  if (splits.empty()) GTEST_SKIP() << reference() << " has no kvpress_split/<length>/<task>.jsonl";
  const Tokenizer tokenizer = Tokenizer::load(tokenizer_file());
  const ChatTemplate chat = load_chat_template(golden::model_dir()).value();
  for (const auto& split_file : splits) {
    SCOPED_TRACE(split_file.string());
    const auto length = split_file.parent_path().filename();
    const auto samples = read_lines(reference() / length / split_file.filename());
    const auto rows = read_lines(split_file);
    ASSERT_EQ(samples.size(), rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      SCOPED_TRACE(i);
      const Json& row = rows[i];
      const std::string input = samples[i].at("input");
      const std::string prompt = input + samples[i].at("answer_prefix").get<std::string>();
      const std::string question = row.at("question");
      const std::string answer_prefix = row.at("answer_prefix");
      ASSERT_GE(prompt.size(), question.size() + answer_prefix.size());
      const std::string context =
          prompt.substr(0, prompt.size() - question.size() - answer_prefix.size());
      EXPECT_EQ(count_code_points(context), row.at("context_chars"));
      EXPECT_EQ(sha256_hex(context), row.at("context_sha256"));

      const auto base = tokenizer.encode(prompt);
      EXPECT_EQ(base.size(), row.at("base_prompt_tokens"));
      EXPECT_EQ(ids_sha256(base), row.at("base_prompt_ids_sha256"));
      const auto context_ids = tokenizer.encode(chat.prefix + context);
      EXPECT_EQ(context_ids.size(), row.at("chat_context_tokens"));
      EXPECT_EQ(ids_sha256(context_ids), row.at("chat_context_ids_sha256"));
      const auto question_ids = tokenizer.encode(question + chat.suffix + answer_prefix);
      EXPECT_EQ(question_ids.size(), row.at("chat_question_tokens"));
      EXPECT_EQ(question_ids, row.at("chat_question_ids").get<std::vector<int32_t>>());
      EXPECT_EQ(tokenizer.decode(base, false), prompt);
    }
  }
}

}  // namespace
}  // namespace kvbench
