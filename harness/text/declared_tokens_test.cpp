#include "harness/text/declared_tokens.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/text/test_folder.h"
#include "harness/text/tokenizer.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Against transformers (testdata/make_folders.py).
TEST(DeclaredTokens, CountAsInTransformers) {
  const json expected = read_json(testdata("declared.json"));
  const auto texts = expected.at("texts").get<std::vector<std::string>>();
  EXPECT_GE(expected.at("folders").size(), 15u);
  for (const json& row : expected.at("folders")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const fs::path dir = tokenizer_dir(row.at("files"));
    const Tokenizer tokenizer = Tokenizer::load_folder(dir);
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto ids = row.at("ids")[i].get<std::vector<int32_t>>();
      EXPECT_EQ(tokenizer.encode(texts[i]), ids) << texts[i];
      EXPECT_EQ(tokenizer.decode(ids, false), row.at("decoded")[i].get<std::string>());
      EXPECT_EQ(tokenizer.decode(ids, true), row.at("decoded_skip")[i].get<std::string>());
    }
    for (size_t i = 0; i < row.at("padded").size(); ++i) {  // ids that have no token
      EXPECT_EQ(tokenizer.decode(row["padded"][i].get<std::vector<int32_t>>(), false),
                row.at("padded_decoded")[i].get<std::string>());
    }
    EXPECT_EQ(text::load_declared_tokens(dir).text("bos_token"),
              row.at("bos_token").get<std::string>());
    EXPECT_EQ(tokenizer.eos_id(), row.at("eos_id").get<int32_t>());
  }
}

TEST(DeclaredTokens, OnlyWhatChangesTheTokenizerIsPartOfItsIdentity) {
  const auto others = [](const json& files) {
    return Tokenizer::load_folder(tokenizer_dir(files)).from_other_files();
  };
  EXPECT_EQ(others(json::object()), "");
  EXPECT_EQ(others({{"tokenizer_config.json", {{"eos_token", "<|im_end|>"}}}}), "");
  EXPECT_EQ(others({{"tokenizer_config.json", {{"eos_token", "<x>"}}}}), "742 ----s <x>\n");
  EXPECT_EQ(others({{"added_tokens.json", {{"<x>", 742}}}}), "742 ---n- <x>\n");
}

void expect_refused(const json& files, const std::string& part) {
  const auto dir = tokenizer_dir(files);
  try {
    Tokenizer::load_folder(dir);
    ADD_FAILURE() << "expected \"" << part << '"';
  } catch (const InputError& e) {
    const std::string what = e.what();
    EXPECT_TRUE(what.starts_with(dir.string())) << what;
    EXPECT_NE(what.find(part), std::string::npos) << what;
  }
}

TEST(DeclaredTokens, ContradictionsAndWrongTypesAreRefused) {
  const auto config = [](const json& content) { return json{{"tokenizer_config.json", content}}; };
  const json x = {{"content", "<x>"}, {"special", true}};
  expect_refused(config({{"added_tokens_decoder", {{"900", x}}}}),
                 "added_tokens_decoder: 900: added token \"<x>\" has the id 900; expected 742");
  expect_refused({{"added_tokens.json", {{"<|im_end|>", 7}}}}, "has the id 7; expected 2");
  expect_refused({{"added_tokens.json", {{"<x>", -1}}}}, "<x>");
  expect_refused({{"added_tokens.json", json::array()}}, "expected an object");
  expect_refused(config({{"added_tokens_decoder", {{"x", x}}}}), "as keys, got \"x\"");
  expect_refused(config({{"added_tokens_decoder", {{"-2", x}}}}), "as keys, got \"-2\"");
  expect_refused(config({{"added_tokens_decoder", {{"99999999999", x}}}}), "as keys");
  expect_refused(config({{"added_tokens_decoder", {{"742", {{"lstrip", true}}}}}}), "content");
  expect_refused(config({{"added_tokens_decoder", {{"742", 3}}}}), "742");
  expect_refused(config({{"bos_token", 3}}), "bos_token");
  expect_refused(config({{"bos_token", {{"content", 3}}}}), "bos_token");
  expect_refused(config({{"additional_special_tokens", {1}}}), "additional_special_tokens");
  expect_refused(config({{"split_special_tokens", true}}), "split_special_tokens: not supported");
  expect_refused(config(json::array()), "expected an object");
  expect_refused({{"special_tokens_map.json", 3}}, "special_tokens_map.json");
}

}  // namespace
}  // namespace kvbench
