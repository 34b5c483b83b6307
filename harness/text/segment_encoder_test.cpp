// Texts in segments have the ids that they have as a whole.
#include "harness/text/segment_encoder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "harness/base/json_view.h"
#include "harness/base/random.h"
#include "harness/text/normalizer.h"
#include "harness/text/test_folder.h"
#include "harness/text/tokenizer.h"

namespace kvbench::text {
namespace {

using nlohmann::json;
using Cuts = PreTokenizer::Cuts;

// The parts of a tokenizer.json that turn a text without added tokens into ids.
struct Parts {
  explicit Parts(const json& spec)
      : normalizer(part<Normalizer>(spec, "normalizer")),
        pre_tokenizer(part<PreTokenizer>(spec, "pre_tokenizer")),
        bpe(JsonView(spec, "test").at("model")),
        segments(pre_tokenizer, bpe) {}

  template <class Part>
  static Part part(const json& spec, const char* key) {
    const auto found = JsonView(spec, "test").find(key);
    return found ? Part(*found) : Part();
  }

  // What segments must be equal to: every word, none remembered.
  std::vector<int32_t> whole(const std::string& text, bool starts_input) const {
    std::vector<Piece> words;
    if (!text.empty()) words.push_back({text, starts_input});
    pre_tokenizer.apply(words);
    std::vector<int32_t> ids;
    for (const Piece& word : words) bpe.encode_word(word.text, ids);
    return ids;
  }

  std::vector<int32_t> segmented(const std::string& text, bool starts_input) {
    std::vector<int32_t> ids;
    segments.encode(text, starts_input, memory, ids);
    return ids;
  }

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Bpe bpe;
  SegmentEncoder segments;
  EncoderMemory memory;
};

json family(const std::string& name) { return read_json(testdata(name + ".json")); }

json with_pre_tokenizer(const std::string& base, const json& pre_tokenizer) {
  json spec = family(base);
  spec["pre_tokenizer"] = pre_tokenizer;
  return spec;
}

json split(const std::string& pattern, const std::string& behavior = "Isolated") {
  return {{"type", "Split"},
          {"pattern", {{"Regex", pattern}}},
          {"behavior", behavior},
          {"invert", false}};
}

json bytes(bool use_regex, bool add_prefix_space = false) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json digits(bool individual) { return {{"type", "Digits"}, {"individual_digits", individual}}; }

json sequence(const json& steps) { return {{"type", "Sequence"}, {"pretokenizers", steps}}; }

json metaspace(const std::string& prepend, bool split_words) {
  return {{"type", "Metaspace"},
          {"replacement", "\u2581"},
          {"prepend_scheme", prepend},
          {"split", split_words}};
}

// What stands at the edges where segments may or must not end.
const std::vector<std::string>& fragments() {
  static const std::vector<std::string> all = {" ",
                                               " ",
                                               " ",
                                               " ",
                                               "  ",
                                               "   ",
                                               "\n",
                                               "\n\n",
                                               "\r\n",
                                               "\t",
                                               "\u00a0",
                                               "\u3000",
                                               "\u2028",
                                               "\u200b",
                                               "\u2581",
                                               "\u2581\u2581",
                                               "a",
                                               "the",
                                               "The",
                                               "green",
                                               "is",
                                               "numbers",
                                               "keys",
                                               "it's",
                                               "we'LL",
                                               "'",
                                               "'s",
                                               "1",
                                               "12",
                                               "12345",
                                               "\u0661\u0662",
                                               "\u00b2",
                                               ".",
                                               "?",
                                               "!",
                                               ",",
                                               ":",
                                               "...",
                                               "-",
                                               "_",
                                               "(",
                                               ")",
                                               "/",
                                               "//",
                                               "**",
                                               "#",
                                               "<",
                                               ">",
                                               "|",
                                               "{",
                                               "}",
                                               "\\",
                                               "^",
                                               "\u0301",
                                               "e\u0301",
                                               "caf\u00e9",
                                               "\u4f60\u597d",
                                               "\u3002",
                                               "\uff0c",
                                               "\u0e2a\u0e27",
                                               "\U0001f600",
                                               "\U0001f468\u200d\U0001f469",
                                               "\u0915\u094d",
                                               "\x01",
                                               "\x7f",
                                               "\u0085",
                                               "<|im_start|>",
                                               "<|im_end|>",
                                               "<s>",
                                               "</s>",
                                               "<unk>",
                                               "<0x41>",
                                               "One of the special magic",
                                               "The grass is green. The sky is blue.",
                                               "def f(x):\n    return x\n",
                                               "xyzzy",
                                               "Q"};
  return all;
}

std::string random_text(Random& random) {
  std::string text;
  for (uint64_t left = random.below(24); left > 0; --left) {
    text += fragments()[random.below(fragments().size())];
  }
  return text;
}

// Many texts with one memory, so that most segments come out of it.
void expect_equal_in_segments(const json& spec, int n_texts) {
  Parts parts(spec);
  Random random(17);
  for (int i = 0; i < n_texts; ++i) {
    const std::string text = parts.normalizer.apply(random_text(random));
    const bool starts_input = random.below(2) == 0;
    ASSERT_EQ(parts.segmented(text, starts_input), parts.whole(text, starts_input))
        << json(text) << (starts_input ? ", at the start" : ", further on");
  }
}

class Segments : public testing::TestWithParam<const char*> {};

TEST_P(Segments, EqualTheWhole) { expect_equal_in_segments(family(GetParam()), 20000); }

INSTANTIATE_TEST_SUITE_P(SegmentEncoder, Segments,
                         testing::Values("smollm", "llama3", "qwen2", "spm_legacy",
                                         "spm_metaspace"));

// Other pre-tokenizers, of models and made to trip over.
struct Case {
  const char* name;
  const char* base;
  json pre_tokenizer;
  Cuts cuts;
};

std::vector<Case> cases() {
  const std::string deepseek =
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
      R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const std::string o200k =
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+)"
      R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3})"
      R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  const json punctuation = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  const json blank = {{"type", "Split"},
                      {"pattern", {{"String", " "}}},
                      {"behavior", "MergedWithPrevious"},
                      {"invert", false}};
  return {
      {"GPT-2", "smollm", bytes(true), Cuts::kSettled},
      {"GPT-2 with a blank in front", "smollm", bytes(true, true), Cuts::kNone},
      {"DeepSeek", "llama3",
       sequence({split(R"(\p{N}{1,3})"), split("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                 split(deepseek), bytes(false)}),
       Cuts::kSettled},
      {"o200k", "llama3", sequence({split(o200k), bytes(false)}), Cuts::kSettled},
      {"digits together", "smollm", sequence({digits(false), bytes(true)}), Cuts::kSettled},
      {"digits alone", "smollm", sequence({digits(true), bytes(false)}), Cuts::kSettled},
      {"Falcon", "smollm", sequence({punctuation, bytes(true), digits(false)}), Cuts::kNone},
      {"Gemma", "spm_legacy", blank, Cuts::kWordMarks},
      {"Metaspace always", "spm_metaspace", metaspace("always", false), Cuts::kMetaspace},
      {"Metaspace never", "spm_metaspace", metaspace("never", false), Cuts::kMetaspace},
      {"Metaspace words", "spm_metaspace", metaspace("first", true), Cuts::kMetaspaceWords},
      // Words over blanks, and endings that what follows decides.
      {"two words", "smollm", sequence({split(R"(\w+ \w+)"), bytes(false)}), Cuts::kSettled},
      {"words in words", "smollm", sequence({split(R"(\w+ \w+)"), bytes(true)}), Cuts::kSettled},
      {"lazy", "smollm", sequence({split(R"(the.*?[.?!])"), bytes(true)}), Cuts::kSettled},
      {"end of text", "smollm", sequence({split(R"(\S+ *$|\s)"), bytes(false)}), Cuts::kSettled},
      {"look-ahead", "smollm", sequence({split(R"(\w+(?= is)| (?!the))"), bytes(true)}),
       Cuts::kSettled},
      {"blanks behind", "smollm", sequence({split(R"(\S+ *)"), bytes(false)}), Cuts::kSettled},
      {"pairs of blanks", "smollm", sequence({split("  "), bytes(false)}), Cuts::kSettled},
      {"look-behind", "smollm", sequence({split(R"((?<=the) )"), bytes(true)}), Cuts::kNone},
      {"word boundary", "smollm", sequence({split(R"(\b)"), bytes(true)}), Cuts::kNone},
      {"start", "smollm", sequence({split(R"(^ |\w+)"), bytes(true)}), Cuts::kNone},
      {"start \\A", "smollm", sequence({split(R"(\A |\w+)"), bytes(true)}), Cuts::kNone},
      {"escaped bracket", "smollm", sequence({split(R"(\[^ |\w+)"), bytes(true)}), Cuts::kNone},
      {"empty matches", "smollm", sequence({split(R"( *)"), bytes(true)}), Cuts::kNone},
      {"joined", "smollm", sequence({split(" ", "MergedWithPrevious"), bytes(false)}),
       Cuts::kNone}};
}

TEST(SegmentEncoder, OtherPreTokenizers) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const json spec = with_pre_tokenizer(c.base, c.pre_tokenizer);
    EXPECT_EQ(Parts(spec).pre_tokenizer.cuts("no mark"),
              c.cuts == Cuts::kWordMarks ? Cuts::kNone : c.cuts);
    EXPECT_EQ(Parts(spec).pre_tokenizer.cuts("no\u2581blank"), c.cuts);
    expect_equal_in_segments(spec, 3000);
  }
}

TEST(SegmentEncoder, WordsOfTextsAreSettledBeforeBlanks) {
  for (const char* name : {"smollm", "llama3", "qwen2"}) {
    const Parts parts(family(name));
    EXPECT_EQ(parts.pre_tokenizer.cuts(""), Cuts::kSettled);
    for (const std::string text : {"The", " grass", " green.", " it's", "(x)", " 12345", " a1,"}) {
      std::vector<Piece> words;
      EXPECT_TRUE(parts.pre_tokenizer.settled_words(text + " ", text.size(), words)) << text;
      EXPECT_FALSE(words.empty());
    }
    std::vector<Piece> words;
    EXPECT_FALSE(parts.pre_tokenizer.settled_words("x  ", 2, words)) << name;
    EXPECT_TRUE(words.empty());
  }
}

TEST(SegmentEncoder, AMergeOverWordMarksForbidsCuts) {
  json spec = family("spm_legacy");
  EXPECT_TRUE(Parts(spec).bpe.keeps_word_marks_apart());
  const size_t id = spec["model"]["vocab"].size();
  spec["model"]["vocab"]["a\u2581"] = id;
  spec["model"]["merges"].push_back("a \u2581");
  EXPECT_FALSE(Parts(spec).bpe.keeps_word_marks_apart());
  expect_equal_in_segments(spec, 3000);

  spec = family("spm_legacy");
  spec["model"]["ignore_merges"] = true;
  EXPECT_FALSE(Parts(spec).bpe.keeps_word_marks_apart());
  expect_equal_in_segments(spec, 3000);

  // Characters without a token are dropped, and marks meet.
  spec = family("spm_legacy");
  spec["model"]["byte_fallback"] = false;
  spec["model"]["unk_token"] = nullptr;
  EXPECT_FALSE(Parts(spec).bpe.keeps_word_marks_apart());
  expect_equal_in_segments(spec, 3000);
}

TEST(SegmentEncoder, ForgetsRatherThanGrows) {
  TextIds ids;
  std::string text(TextIds::kMaxTextBytes, 'x');
  const std::vector<int32_t> many(20000, 7);
  size_t kept = 0;
  for (int i = 0; i < 1000; ++i) {
    text.replace(0, 4, fmt::format("{:04}", i));
    ids.add(text, many, i % 2 == 0);
    const auto found = ids.find(text);
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->ids.size(), many.size());
    EXPECT_EQ(found->usable, i % 2 == 0);
    text.replace(0, 4, "0000");
    kept += ids.find(text).has_value() ? 1 : 0;
  }
  EXPECT_GT(kept, 100u);  // the first one, until 32 MiB were full
  EXPECT_LT(kept, 900u);
  ids.add(text + "x", many, true);
  EXPECT_FALSE(ids.find(text + "x").has_value());
}

}  // namespace
}  // namespace kvbench::text
