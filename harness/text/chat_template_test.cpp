#include "harness/text/chat_template.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/base/paths.h"
#include "harness/base/test_util.h"
#include "harness/text/test_folder.h"
#include "harness/text/tokenizer.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string refusal(const fs::path& dir) {
  try {
    load_chat_template(dir);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

// Own templates of many kinds against what transformers renders (testdata/make_folders.py).
TEST(ChatTemplate, EqualToTransformersOrRefusedByName) {
  const json expected = read_json(testdata("templates.json"));
  const std::string user = expected.at("user");
  int n_equal = 0, n_refused = 0;
  for (const json& row : expected.at("templates")) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const auto dir = model_dir(row.at("files"));
    if (row.contains("refused")) {
      ++n_refused;
      const std::string what = refusal(dir);
      EXPECT_TRUE(what.starts_with(dir.string())) << what;
      EXPECT_NE(what.find(row.at("refused").get<std::string>()), std::string::npos) << what;
      EXPECT_EQ(what.find('\n'), std::string::npos) << what;
      continue;
    }
    ++n_equal;
    const auto found = load_chat_template(dir);
    ASSERT_TRUE(found);
    const std::string prompt = found->prefix + user + found->suffix;
    EXPECT_EQ(prompt, row.at("rendered").get<std::string>());
    fs::copy_file(testdata("smollm.json"), dir / "tokenizer.json");
    EXPECT_EQ(Tokenizer::load_folder(dir).encode(prompt),
              row.at("ids").get<std::vector<int32_t>>());
  }
  EXPECT_GE(n_equal, 20);
  EXPECT_GE(n_refused, 20);
}

const std::string kPlain = "<u>{{ messages[0].content }}</u>";

TEST(ChatTemplate, SaysWhereItStandsAndWhetherTheDateIsFixed) {
  const auto own = load_chat_template(model_dir({{"chat_template.jinja", kPlain}})).value();
  EXPECT_EQ(own.file, "chat_template.jinja");
  EXPECT_FALSE(own.fixed_date);
  const auto dated =
      load_chat_template(
          model_dir({{"tokenizer_config.json",
                      {{"chat_template", "{{ strftime_now('%d %b %Y') }}" + kPlain}}}}))
          .value();
  EXPECT_EQ(dated.file, "tokenizer_config.json");
  EXPECT_TRUE(dated.fixed_date);
  EXPECT_EQ(dated.prefix, std::string(kTemplateDate) + "<u>");
  const auto processor =
      load_chat_template(model_dir({{"chat_template.json", {{"chat_template", kPlain}}}})).value();
  EXPECT_EQ(processor.file, "chat_template.json");
}

TEST(ChatTemplate, AFolderWithoutOneHasNone) {
  EXPECT_FALSE(load_chat_template(model_dir(json::object())));
  EXPECT_FALSE(load_chat_template(model_dir({{"tokenizer_config.json", {{"bos_token", "<s>"}}}})));
  EXPECT_FALSE(
      load_chat_template(model_dir({{"tokenizer_config.json", {{"chat_template", nullptr}}}})));
}

TEST(ChatTemplate, InvalidUtf8IsRefused) {
  const auto dir = model_dir(json::object());
  std::ofstream(dir / "chat_template.jinja", std::ios::binary) << "\xff" << kPlain;
  EXPECT_NE(refusal(dir).find("chat_template.jinja: expected UTF-8"), std::string::npos);
}

// In a folder of its own for what set-up installs, with the private Python that is there.
class TemplateCache : public testing::Test {
 protected:
  TemplateCache() { fs::create_directory_symlink(venv_, deps_ / "venv"); }

  std::vector<fs::path> kept() const {
    std::vector<fs::path> files;
    if (!fs::exists(deps_ / "cache/chat_templates")) return files;
    for (const auto& entry : fs::directory_iterator(deps_ / "cache/chat_templates")) {
      files.push_back(entry.path());
    }
    return files;
  }
  void take_python_away() { fs::remove(deps_ / "venv"); }

  const fs::path venv_ = deps_dir() / "venv";
  const InTempDir dir_;
  const fs::path deps_ = fs::current_path();
  const WithEnv deps_here_{"KVBENCH_DEPS", deps_.c_str()};
};

TEST_F(TemplateCache, PythonRunsOnce) {
  const auto dir = model_dir({{"chat_template.jinja", kPlain}});
  EXPECT_EQ(load_chat_template(dir)->prefix, "<u>");
  ASSERT_EQ(kept().size(), 1u);
  take_python_away();
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(load_chat_template(dir)->suffix, "</u>");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 0.1);  // milliseconds, on a machine that does nothing else
  const std::string what = refusal(model_dir({{"chat_template.jinja", "x" + kPlain}}));
  EXPECT_NE(what.find("setup.sh base"), std::string::npos) << what;
}

TEST_F(TemplateCache, OtherTokensAreRenderedAnew) {
  json files = {{"chat_template.jinja", "{{ bos_token }}" + kPlain},
                {"tokenizer_config.json", {{"bos_token", "<a>"}}}};
  EXPECT_EQ(load_chat_template(model_dir(files))->prefix, "<a><u>");
  files["tokenizer_config.json"]["bos_token"] = "<b>";
  EXPECT_EQ(load_chat_template(model_dir(files))->prefix, "<b><u>");
  EXPECT_EQ(kept().size(), 2u);
}

TEST_F(TemplateCache, ADamagedFileIsMadeAnew) {
  const auto dir = model_dir({{"chat_template.jinja", kPlain}});
  load_chat_template(dir);
  ASSERT_EQ(kept().size(), 1u);
  const std::string whole = read_file(kept()[0]);
  std::string changed = whole;
  changed.replace(changed.find("<u>"), 3, "<x>");
  for (const std::string& damaged : {std::string(), whole.substr(0, whole.size() / 2), changed,
                                     std::string("[]"), std::string("{\"key\": 1}")}) {
    std::ofstream(kept()[0], std::ios::binary) << damaged;
    EXPECT_EQ(load_chat_template(dir)->prefix, "<u>");
    EXPECT_EQ(read_file(kept()[0]), whole);
  }
}

TEST_F(TemplateCache, RefusedTemplatesAreNotKept) {
  EXPECT_NE(refusal(model_dir({{"chat_template.jinja", "{% if"}})), "");
  EXPECT_TRUE(kept().empty());
}

const json kBos = {{"bos_token", "<BOS>"}};

json with_config(const json& config, const json& tokenizer = nullptr) {
  json files = {{"tokenizer_config.json", config}};
  if (!tokenizer.is_null()) files["tokenizer.json"] = tokenizer;
  return files;
}

TEST(BosText, WhatTheTokenizerAdds) {
  const auto bos = [](const json& files) { return bos_text(model_dir(files)); };
  EXPECT_EQ(bos(json::object()), "");
  EXPECT_EQ(bos(with_config(kBos)), "");
  EXPECT_EQ(bos(with_config({{"bos_token", "<s>"}, {"add_bos_token", true}})), "<s>");
  EXPECT_EQ(bos(with_config({{"bos_token", {{"content", "<s>"}}}, {"add_bos_token", true}})),
            "<s>");
  EXPECT_EQ(bos(with_config({{"bos_token", "<s>"}, {"add_bos_token", false}})), "");
  EXPECT_THROW(bos(with_config({{"bos_token", nullptr}, {"add_bos_token", true}})), InputError);
  json files = with_config({{"add_bos_token", true}});
  files["special_tokens_map.json"] = {{"bos_token", {{"content", "<s>"}}}};
  EXPECT_EQ(bos(files), "<s>");
  // Llama 3 says it in the post-processor.
  const json single = {{{"SpecialToken", {{"id", "<|begin_of_text|>"}, {"type_id", 0}}}},
                       {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}};
  const json processor = {{"type", "TemplateProcessing"}, {"single", single}};
  const json byte_level = {{"type", "ByteLevel"}};
  const json sequence = {{"type", "Sequence"}, {"processors", {byte_level, processor}}};
  EXPECT_EQ(bos(with_config(kBos, {{"post_processor", sequence}})), "<|begin_of_text|>");
  EXPECT_EQ(bos(with_config(kBos, {{"post_processor", byte_level}})), "");
}

}  // namespace
}  // namespace kvbench
