#include "harness/text/tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/base/random.h"
#include "harness/base/test_util.h"

namespace kvbench {
namespace {

using nlohmann::json;

std::filesystem::path testdata(const std::string& name) {
  return std::filesystem::path(KVBENCH_TEST_ROOT) / "harness/text/testdata" / name;
}

std::filesystem::path temporary_file(const std::string& text) {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = fmt::format("{}_{}.json", test->test_suite_name(), test->name());
  std::replace(name.begin(), name.end(), '/', '_');
  const auto file = process_folder() / name;
  std::ofstream(file, std::ios::binary) << text;
  return file;
}

Tokenizer load_text(const std::string& text) { return Tokenizer::load(temporary_file(text)); }
Tokenizer load_json(const json& spec) { return load_text(spec.dump()); }

// What the loader says about a file; "" when it takes it.
std::string complaint(const std::string& text) {
  try {
    load_text(text);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

void expect_complaint(const json& spec, const std::string& part) {
  EXPECT_NE(complaint(spec.dump()).find(part), std::string::npos)
      << "expected \"" << part << "\" in \"" << complaint(spec.dump()) << '"';
}

// Compares with what make_fixtures.py wrote for these texts.
void expect_equal(const Tokenizer& tokenizer, const std::vector<std::string>& texts,
                  const json& expected) {
  ASSERT_EQ(expected.at("ids").size(), texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto want = expected["ids"][i].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(texts[i]), want) << "text " << i << ": " << json(texts[i]);
    for (const bool skip : {false, true}) {
      const json& decoded = expected[skip ? "decoded_skip" : "decoded"][i];
      EXPECT_EQ(tokenizer.decode(want, skip),
                decoded.is_null() ? texts[i] : decoded.get<std::string>())
          << "text " << i << ", skip " << skip;
    }
  }
}

std::vector<std::string> all_strings() {
  return read_json(testdata("strings.json")).get<std::vector<std::string>>();
}

json tiny() { return read_json(testdata("smollm.json")); }

class Families : public testing::TestWithParam<const char*> {};

TEST_P(Families, EqualToPythonTokenizers) {
  const std::string family = GetParam();
  const auto texts = all_strings();
  ASSERT_GE(texts.size(), 500u);
  expect_equal(Tokenizer::load(testdata(family + ".json")), texts,
               read_json(testdata(family + "_expected.json")));
}

INSTANTIATE_TEST_SUITE_P(Tokenizer, Families,
                         testing::Values("smollm", "llama3", "qwen2", "spm_legacy",
                                         "spm_metaspace"));

TEST(Tokenizer, OtherSettingsOfThePartsEqualPython) {
  const auto texts = all_strings();
  const json file = read_json(testdata("variants.json"));
  std::vector<std::string> picked;
  for (const auto& i : file.at("strings")) picked.push_back(texts.at(i.get<size_t>()));
  EXPECT_GE(file.at("variants").size(), 60u);
  for (const json& variant : file.at("variants")) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    json spec = read_json(testdata(variant.at("base").get<std::string>() + ".json"));
    spec.update(variant.at("set"));
    spec["model"].update(variant.at("model"));
    expect_equal(load_json(spec), picked, variant);
  }
}

TEST(Tokenizer, PairMergesAndStringMergesAreTheSame) {
  json spec = tiny();
  const auto before = load_json(spec).encode("The special magic numbers 123");
  for (auto& merge : spec["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(load_json(spec).encode("The special magic numbers 123"), before);
}

TEST(Tokenizer, IdsOfTokens) {
  const Tokenizer tokenizer = Tokenizer::load(testdata("qwen2.json"));
  const int32_t end = tokenizer.token_id("<|im_end|>");
  EXPECT_EQ(tokenizer.encode("<|im_end|>"), std::vector<int32_t>{end});
  EXPECT_EQ(tokenizer.token_id("no such token"), -1);
  EXPECT_GE(tokenizer.token_id("!"), 0);
  EXPECT_EQ(tokenizer.decode({end}, true), "");
  EXPECT_EQ(tokenizer.decode({end}, false), "<|im_end|>");
  EXPECT_TRUE(tokenizer.encode("").empty());
  EXPECT_EQ(tokenizer.decode({}, false), "");
}

TEST(Tokenizer, IdsMayHaveHoles) {
  const json spec = {
      {"added_tokens", json::array()},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 7}}}, {"merges", json::array()}}}};
  const Tokenizer tokenizer = load_json(spec);
  EXPECT_EQ(tokenizer.vocab_size(), 8);
  EXPECT_EQ(tokenizer.encode("ab"), (std::vector<int32_t>{0, 7}));
  EXPECT_EQ(tokenizer.decode({0, 7}, false), "a b");  // no decoder: joined with blanks
  for (const int32_t id : {3, 8, INT32_MAX}) EXPECT_EQ(tokenizer.decode({0, id, 7}, false), "a b");
  for (const int32_t id : {-1, INT32_MIN}) {
    EXPECT_THROW(tokenizer.decode({id}, false), InputError) << id;
  }
}

TEST(Tokenizer, InvalidUtf8IsReadAsReplacementCharacters) {
  const Tokenizer tokenizer = Tokenizer::load(testdata("smollm.json"));
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(tokenizer.encode("a\xff b"), tokenizer.encode("a" + bad + " b"));
  EXPECT_EQ(tokenizer.encode("\xE2\x82"), tokenizer.encode(bad));  // one cut-off character
  EXPECT_EQ(tokenizer.encode("\xED\xA0\x80"), tokenizer.encode(bad + bad + bad));  // a surrogate
  EXPECT_EQ(tokenizer.encode("\xC0\xAF!"), tokenizer.encode(bad + bad + "!"));
  EXPECT_EQ(tokenizer.encode("\xF0\x9F\x98x"), tokenizer.encode(bad + "x"));
}

TEST(Tokenizer, AMegabyteWithoutBlanksIsNotQuadratic) {
  Random random(3);
  std::string letters;
  while (letters.size() < 1'000'000) letters += static_cast<char>('a' + random.below(26));
  for (const char* family : {"smollm", "spm_legacy"}) {
    const Tokenizer tokenizer = Tokenizer::load(testdata(std::string(family) + ".json"));
    for (const std::string& text :
         {letters, std::string(1'000'000, 'a'), std::string(1'000'000, ' '),
          std::string(1'000'000, '\n'), std::string(1'000'000, '1')}) {
      const auto start = std::chrono::steady_clock::now();
      const auto ids = tokenizer.encode(text);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      EXPECT_LT(seconds.count(), 20.0);  // a quadratic loop takes hours; sanitizers are slow too
      EXPECT_EQ(tokenizer.decode(ids, false), text);
    }
  }
}

TEST(Tokenizer, ThreadsMayEncodeAtTheSameTime) {
  const Tokenizer tokenizer = Tokenizer::load(testdata("qwen2.json"));
  const auto texts = all_strings();
  std::vector<std::vector<int32_t>> want;
  for (const auto& text : texts) want.push_back(tokenizer.encode(text));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < texts.size(); ++i) {
        const size_t k = (i * 7 + t * 101) % texts.size();
        wrong[t] += tokenizer.encode(texts[k]) != want[k];
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::vector<int>{0, 0, 0, 0}));
}

TEST(TokenizerFile, UnknownPartsAreNamed) {
  json spec = tiny();
  spec["pre_tokenizer"] = {{"type", "UnicodeScripts"}};
  expect_complaint(spec, "pre_tokenizer: pre-tokenizer type \"UnicodeScripts\" is not supported");
  spec = tiny();
  spec["normalizer"] = {{"type", "Sequence"},
                        {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}};
  expect_complaint(spec, "normalizer.normalizers[1]: normalizer type \"Nmt\"");
  spec = tiny();
  spec["decoder"]["type"] = "WordPiece";
  expect_complaint(spec, "decoder type \"WordPiece\"");
  spec = tiny();
  spec["model"]["type"] = "Unigram";
  expect_complaint(spec, "model type \"Unigram\" is not supported; expected BPE");
  spec = tiny();
  spec["model"]["dropout"] = 0.1;
  expect_complaint(spec, "model.dropout");
  spec = tiny();
  spec["model"]["end_of_word_suffix"] = "</w>";
  expect_complaint(spec, "model.end_of_word_suffix");
  spec = tiny();
  spec["version"] = "2.0";
  expect_complaint(spec, "version: expected \"1.0\"");
  spec = tiny();
  spec["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", "*a"}}},
                           {"behavior", "Isolated"},
                           {"invert", false}};
  expect_complaint(spec, "the regular expression *a does not compile");
  spec["pre_tokenizer"]["pattern"] = {{"Regex", "\\hx"}};
  expect_complaint(spec, "uses an escape that is not supported: \\h");
  spec["pre_tokenizer"]["behavior"] = "Sometimes";
  expect_complaint(spec, "not supported");
}

TEST(TokenizerFile, WrongVocabularyMergesAndAddedTokens) {
  json spec = tiny();
  spec["model"]["vocab"]["!!x"] = spec["model"]["vocab"]["!"];
  expect_complaint(spec, "two tokens have the id");
  for (const json& id : {json(-1), json(1.5), json("7"), json(nullptr), json(1LL << 40),
                         json(18446744073709551615ULL), json(1 << 22)}) {
    spec = tiny();
    spec["model"]["vocab"]["!!x"] = id;
    expect_complaint(spec, "expected an integer from 0 to 4194303");
    spec = tiny();
    spec["added_tokens"][0]["id"] = id;
    EXPECT_NE(complaint(spec.dump()), "");
  }
  spec = tiny();
  spec["model"]["merges"].push_back({"no such", "token"});
  expect_complaint(spec, "expected tokens of the vocabulary");
  for (const json& merge :
       {json("a b"), json({"a"}), json({"a", "b", "c"}), json({1, 2}), json(nullptr)}) {
    spec = tiny();
    spec["model"]["merges"].push_back(merge);
    expect_complaint(spec, "expected a pair of tokens");
  }
  spec = tiny();
  spec["model"]["merges"] = {"a b c"};
  expect_complaint(spec, "expected two tokens with one blank between");
  spec = tiny();
  spec["added_tokens"][1]["id"] = 77;
  expect_complaint(spec, "has the id 77; expected 1");
  spec = tiny();
  spec["added_tokens"][1].erase("lstrip");
  expect_complaint(spec, "added_tokens[1]: \"lstrip\" is missing");
}

TEST(TokenizerFile, MissingOrNoJson) {
  EXPECT_THROW(Tokenizer::load("/nonexistent/tokenizer.json"), InputError);
  EXPECT_THROW(Tokenizer::load(process_folder()), InputError);
  for (const char* text :
       {"", "{", "[]", "7", "null", "{}", "\"x\"", "{\"model\": 3}",
        "{\"model\": {\"type\": \"BPE\"}}", "{\"model\": {\"vocab\": {}}}", "\xff\xfe"}) {
    EXPECT_NE(complaint(text), "") << text;
  }
  EXPECT_NE(complaint(std::string(200000, '[')), "");
}

TEST(TokenizerFile, DeeplyNestedSequencesAreRefused) {
  json part = {{"type", "Digits"}, {"individual_digits", true}};
  for (int i = 0; i < 40; ++i) part = {{"type", "Sequence"}, {"pretokenizers", {part}}};
  json spec = tiny();
  spec["pre_tokenizer"] = part;
  expect_complaint(spec, "expected less deeply nested Sequences");
}

// Either an InputError or a tokenizer that works, never a crash.
void survives(const std::string& text, int& loaded) {
  try {
    const Tokenizer tokenizer = load_text(text);
    ++loaded;
    const auto ids = tokenizer.encode("Hi <|im_end|> 12\xc3\xa9 \xf0\x9f\x98\x80 it's <mask>\n");
    tokenizer.decode(ids, true);
  } catch (const InputError&) {
  }
}

TEST(TokenizerFile, TruncatedAndMutatedFilesDoNotCrash) {
  for (const char* family : {"llama3", "spm_metaspace"}) {
    const std::string whole = read_file(testdata(std::string(family) + ".json"));
    int loaded = 0;
    for (size_t i = 0; i < 150; ++i) survives(whole.substr(0, i * whole.size() / 150), loaded);
    EXPECT_EQ(loaded, 0);
    Random random(11);
    for (int i = 0; i < 400; ++i) {
      std::string text = whole;
      for (uint64_t edits = random.below(3) + 1; edits > 0; --edits) {
        const size_t at = random.below(text.size());
        switch (random.below(4)) {
          case 0:
            text[at] = static_cast<char>(random.below(256));
            break;
          case 1:
            text.erase(at, random.below(20));
            break;
          case 2:
            text.insert(at, text.substr(random.below(text.size()), random.below(20)));
            break;
          default:
            text[at] = "\"{}[]:,0-9.tfn\\u "[random.below(17)];
        }
      }
      survives(text, loaded);
    }
    EXPECT_GT(loaded, 0);
  }
}

TEST(TokenizerFile, WrongTypesAnywhereDoNotCrash) {
  const std::vector<json> replacements = {
      nullptr,  true,          -1,        1e300,          "",           "x",
      "\u2581", json::array(), {nullptr}, json::object(), 99999999999LL};
  for (const char* family : {"qwen2", "spm_legacy", "spm_metaspace"}) {
    const json whole = read_json(testdata(std::string(family) + ".json"));
    // Every place but the inside of vocabulary and merges.
    std::vector<json::json_pointer> places;
    const std::function<void(const json&, const json::json_pointer&)> visit =
        [&](const json& value, const json::json_pointer& at) {
          places.push_back(at);
          const std::string path = at.to_string();
          if (path == "/model/vocab" || path == "/model/merges") return;
          if (value.is_object()) {
            for (const auto& [key, inner] : value.items()) visit(inner, at / key);
          } else if (value.is_array()) {
            for (size_t i = 0; i < std::min<size_t>(value.size(), 3); ++i) visit(value[i], at / i);
          }
        };
    visit(whole, json::json_pointer());
    int loaded = 0;
    for (const auto& place : places) {
      for (const json& replacement : replacements) {
        json changed = whole;
        changed[place] = replacement;
        survives(changed.dump(), loaded);
      }
    }
    EXPECT_GT(loaded, 0);
  }
}

}  // namespace
}  // namespace kvbench
