// The 21 sets as LongBench's paper and code describe them; harness/golden compares the templates.
#include "tasks/longbench/sets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "harness/base/test_util.h"

namespace kvbench::longbench {
namespace {

TEST(LongBenchSets, SixteenInPapersThirteenInE) {
  const auto sets = load_longbench_sets();
  ASSERT_EQ(sets.size(), 21u);
  const auto count = [&](auto&& is) { return std::count_if(sets.begin(), sets.end(), is); };
  EXPECT_EQ(count([](const auto& set) { return set.paper; }), 16);
  EXPECT_EQ(count([](const auto& set) { return set.e; }), 13);
  EXPECT_EQ(count([](const auto& set) { return !set.chat_template; }), 6);
  EXPECT_EQ(count([](const auto& set) { return set.first_line; }), 4);
  EXPECT_EQ(count([](const auto& set) { return set.newline_ends; }), 1);
  for (const auto& set : sets) EXPECT_EQ(set.paper, set.language != "zh") << set.name;
}

TEST(LongBenchSets, EveryLanguageHasEveryCategory) {
  std::map<std::string, int> english, chinese;
  for (const auto& set : load_longbench_sets()) {
    if (set.language != "zh") ++english[set.category];
    if (set.language != "en") ++chinese[set.category];
  }
  EXPECT_EQ(english.size(), category_names().size());
  EXPECT_EQ(chinese.size(), category_names().size());
}

TEST(LongBenchSets, PartsMakeTheTemplateUnlessTheInputBringsThePrefix) {
  const InTempDir here;
  const std::string head =
      "category: few_shot\nlanguage: en\nmetric: qa_f1_score\nmax_new_tokens: 8\n"
      "chat_template: true\nfirst_line: false\npaper: true\ne: false\n";
  const std::string parts =
      "context: [\"Read. \", \"{context}\", \"\"]\nquestion: \"{input}\"\nanswer_prefix: \"A:\"\n";
  const auto read = [&](const std::string& text) {
    InTempDir::write("own.yaml", text);
    return read_longbench_set("own.yaml");
  };
  EXPECT_EQ(read(head + parts).context, "Read. \n{context}\n");
  EXPECT_EQ(read(head + parts).official_template, "Read. \n{context}\n{input}A:");
  EXPECT_EQ(read(head + parts + "prefix_in_input: true\n").official_template,
            "Read. \n{context}\n{input}");
  const auto error = [&](const std::string& text) { return error_of([&] { read(text); }); };
  EXPECT_EQ(error(head + "context: \"{context} {contxt}\"\n"),
            "own.yaml:9: context: expected {context} or {input}, got \"{contxt}\"");
  EXPECT_EQ(error(head + "context: \"{input}\"\n"),
            "own.yaml:9: context: expected {context} in it");
  EXPECT_EQ(error(head + "context: [\"{context}\", []]\n"),
            "own.yaml:9: context: expected a line of text, got a list");
  EXPECT_NE(error(head).find("context is missing"), std::string::npos) << error(head);
}

}  // namespace
}  // namespace kvbench::longbench
