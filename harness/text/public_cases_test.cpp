// Tokenizers and templates of public bug reports about other tools (testdata/public_cases.json: the
// report's case, files of a small model folder, and the right values).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "harness/base/json_view.h"
#include "harness/text/chat_template.h"
#include "harness/text/test_folder.h"
#include "harness/text/tokenizer.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TEST(PublicCases, TokenizersAndTemplates) {
  const json cases =
      read_json(fs::path(KVBENCH_TEST_ROOT) / "harness/text/testdata/public_cases.json");
  EXPECT_EQ(cases.size(), 12u);
  for (const auto& [name, row] : cases.items()) {
    SCOPED_TRACE(name);
    const fs::path dir = model_dir(row.at("files"));
    const Tokenizer tokenizer = Tokenizer::load_folder(dir);
    if (row.contains("ids")) {
      for (const auto& [text, ids] : row.at("ids").items()) {
        EXPECT_EQ(tokenizer.encode(text), ids.get<std::vector<int32_t>>()) << text;
      }
    }
    if (row.contains("decoded_as_it_is")) {  // clean_up_tokenization_spaces is for other tokenizers
      const auto text = row.at("decoded_as_it_is").get<std::string>();
      EXPECT_EQ(tokenizer.decode(tokenizer.encode(text), true), text);
    }
    if (!row.contains("chat")) continue;
    const json& chat = row.at("chat");
    const auto text = [&](const char* key) { return chat.at(key).get<std::string>(); };
    const ChatTemplate found = load_chat_template(dir).value();
    EXPECT_EQ(found.prefix, text("prompt_before_context"));
    EXPECT_EQ(found.suffix, text("prompt_after_question"));
    const auto context = tokenizer.encode(found.prefix + text("context"));
    const auto question = tokenizer.encode(text("question") + found.suffix + text("answer_prefix"));
    EXPECT_EQ(context.size(), chat.at("context_tokens"));
    EXPECT_EQ(question.size(), chat.at("question_tokens"));
  }
}

}  // namespace
}  // namespace kvbench
