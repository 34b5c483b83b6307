// qa_1 and qa_2, end to end, on small files of the official form.
#include "tasks/ruler/qa.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tasks/ruler/qa_data.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/ruler/test_generate.h"
#include "tasks/text.h"

namespace kvbench::ruler {
namespace {

using Json = nlohmann::json;

// 12 articles of 3 to 14 paragraphs; every paragraph has a question with two answers, one of them
// given twice, and one that cannot be answered.
Json squad() {
  Json articles = Json::array();
  for (int a = 0; a < 12; ++a) {
    Json paragraphs = Json::array();
    for (int p = 0; p < 3 + a; ++p) {
      const std::string year = fmt::format("{}{:02}", 1700 + a, p);
      const std::string context = fmt::format(
          "The bridge number {} of the river {} was opened in the year {} by the mayor of the old "
          "town. Its stones came from a quarry in the hills, and it took {} years to build it.",
          p, a, year, p + 4);
      const Json answers = {{{"text", year}, {"answer_start", 0}},
                            {{"text", year}, {"answer_start", 0}},
                            {{"text", "in the year " + year}, {"answer_start", 0}}};
      paragraphs.push_back(
          {{"context", context},
           {"qas",
            {{{"question", fmt::format("When was bridge {} of river {} opened?", p, a)},
              {"answers", answers},
              {"is_impossible", false}},
             {{"question", "Who painted it?"},
              {"answers", Json::array()},
              {"is_impossible", true}}}}});
    }
    articles.push_back({{"title", fmt::format("River {}", a)}, {"paragraphs", paragraphs}});
  }
  return {{"version", "v2.0"}, {"data", articles}};
}

// 40 questions over ten paragraphs each, of which neighbours share five.
Json hotpotqa() {
  Json entries = Json::array();
  for (int i = 0; i < 40; ++i) {
    Json context = Json::array();
    for (int k = 5 * i; k < 5 * i + 10; ++k) {
      context.push_back({fmt::format("Caf\u00e9 {}", k),
                         {fmt::format("Caf\u00e9 {} is in street {}.", k, k + 7),
                          fmt::format(" Its owner has {} cats.", k + 2)}});
    }
    entries.push_back({{"question", fmt::format("Has caf\u00e9 {} more cats than {}?", i, i + 1)},
                       {"answer", i % 2 == 0 ? "yes" : fmt::format("street {}", 5 * i + 7)},
                       {"context", context}});
  }
  return entries;
}

constexpr const char* kSquadFile = "squad/dev-v2.0.json";
constexpr const char* kHotpotFile = "hotpotqa/hotpot_dev_distractor_v1.json";

class QaTasks : public GeneratorTest {
 protected:
  QaTasks()
      : squad_(write(kSquadFile, squad().dump())), hotpot_(write(kHotpotFile, hotpotqa().dump())) {}

  std::filesystem::path squad_, hotpot_;
};

TEST_F(QaTasks, SquadIsReadAsRulerReadsIt) {
  const QaData data = read_squad(squad_);
  EXPECT_EQ(data.documents.size(), 102u);  // 3 + ... + 14
  EXPECT_TRUE(std::is_sorted(data.documents.begin(), data.documents.end()));
  ASSERT_EQ(data.questions.size(), 102u);
  const QaQuestion& first = data.questions[0];
  EXPECT_EQ(first.query, "When was bridge 0 of river 0 opened?");
  EXPECT_EQ(first.outputs, (std::vector<std::string>{"170000", "170000", "in the year 170000"}));
  ASSERT_EQ(first.own.size(), 1u);
  EXPECT_NE(data.documents[first.own[0]].find("in the year 170000"), std::string::npos);
  EXPECT_EQ(first.more.size(), 2u);
}

TEST_F(QaTasks, HotpotIsReadAsRulerReadsIt) {
  const QaData data = read_hotpotqa(hotpot_);
  EXPECT_EQ(data.documents.size(), 205u);
  ASSERT_EQ(data.questions.size(), 40u);
  EXPECT_EQ(data.questions[1].outputs, std::vector<std::string>{"street 12"});
  ASSERT_EQ(data.questions[1].own.size(), 10u);
  EXPECT_EQ(data.documents[data.questions[1].own[0]],
            "Caf\u00e9 5\nCaf\u00e9 5 is in street 12. Its owner has 7 cats.");
  EXPECT_TRUE(data.questions[1].more.empty());
}

// Takes a sample apart and puts it together again. Returns the indexes of its documents.
std::vector<size_t> check_qa(const RulerRecord& record, const QaData& data) {
  const QaQuestion& question = data.questions[static_cast<size_t>(record.line)];
  const std::string prompt = record.prompt();
  std::vector<std::string_view> documents;
  std::vector<size_t> indexes;
  const std::string empty = qa_prompt({}, "");
  const size_t begin = empty.find("\n\n\n\n") + 2;
  const size_t end = prompt.rfind("\n\nAnswer the question");
  std::string_view rest = std::string_view(prompt).substr(begin, end - begin);
  while (!rest.empty()) {
    const std::string head = fmt::format("Document {}:\n", documents.size() + 1);
    EXPECT_EQ(rest.substr(0, head.size()), head);
    rest.remove_prefix(head.size());
    const size_t next =
        std::min(rest.find(fmt::format("\n\nDocument {}:\n", documents.size() + 2)), rest.size());
    documents.push_back(rest.substr(0, next));
    const auto found =
        std::lower_bound(data.documents.begin(), data.documents.end(), documents.back());
    EXPECT_TRUE(found != data.documents.end() && *found == documents.back());
    indexes.push_back(static_cast<size_t>(found - data.documents.begin()));
    rest.remove_prefix(std::min(next + 2, rest.size()));
  }
  EXPECT_EQ(qa_prompt(documents, question.query), prompt);
  EXPECT_EQ(record.outputs, question.outputs);
  EXPECT_EQ(record.answer_prefix, " Answer:");

  const std::set<size_t> chosen(indexes.begin(), indexes.end());
  if (indexes.size() >= data.documents.size()) {
    EXPECT_EQ(chosen.size(), data.documents.size());
    return indexes;
  }
  EXPECT_EQ(chosen.size(), indexes.size()) << "no document twice";
  for (const size_t own : question.own) EXPECT_TRUE(chosen.contains(own));
  size_t more = 0;
  for (const size_t document : question.more) more += chosen.contains(document) ? 1 : 0;
  EXPECT_EQ(more, std::min(question.more.size(), indexes.size() - question.own.size()))
      << "documents on the same subject come first";
  return indexes;
}

TEST_F(QaTasks, SamplesHaveTheOfficialStructure) {
  for (const std::string task : {"ruler/qa_1", "ruler/qa_2"}) {
    const QaData data = task == "ruler/qa_1" ? read_squad(squad_) : read_hotpotqa(hotpot_);
    for (const int64_t length : {1024, 2048, 4096, 16384}) {
      std::map<size_t, std::set<size_t>> places;  // of the first own document, by documents
      int64_t longest = 0;
      for (const RulerRecord& record : generate_ruler(task, length, 20, 42, count_tokens)) {
        SCOPED_TRACE(fmt::format("{} length {} sample {}", task, length, record.line));
        const std::vector<size_t> indexes = check_qa(record, data);
        const size_t own = data.questions[static_cast<size_t>(record.line)].own[0];
        const auto place = std::find(indexes.begin(), indexes.end(), own) - indexes.begin();
        if (indexes.size() < data.documents.size()) {
          places[indexes.size()].insert(static_cast<size_t>(place));
        }
        EXPECT_EQ(record.length, count_tokens(record.prompt()) + 32);
        EXPECT_LE(*record.length, length);
        longest = std::max(longest, *record.length);
        if (task == "ruler/qa_1") {
          EXPECT_NE(record.input.find(record.outputs[2]), std::string::npos);
        }
      }
      // A document is at most 60 tokens long here.
      EXPECT_GT(longest, length - 60) << task << " " << length;
      for (const auto& [documents, fixed] : places) {
        EXPECT_EQ(fixed.size(), 1u) << "a fixed shuffle, " << documents << " documents";
        EXPECT_EQ((places.rbegin()->first - documents) % 10, 0u);
      }
    }
  }
}

TEST_F(QaTasks, WhatCannotBeMadeIsRefused) {
  const auto error = [&](const std::string& task, int64_t length, int64_t samples) {
    return input_error([&] { generate_ruler(task, length, samples, 42, count_tokens); });
  };
  EXPECT_EQ(error("ruler/qa_1", 4096, 103),
            "ruler/qa_1: 103 samples were asked for, " + squad_.string() + " has 102 questions");
  EXPECT_EQ(error("ruler/qa_2", 256, 1).substr(0, 37), "ruler/qa_2: length 256 is too small: ");
  std::filesystem::remove(squad_);
  EXPECT_EQ(error("ruler/qa_1", 4096, 1),
            squad_.string() + ": missing; `./kvbench data fetch squad` gets it");
  std::filesystem::remove(hotpot_);
  EXPECT_EQ(error("ruler/qa_2", 4096, 1),
            hotpot_.string() + ": missing; `./kvbench data fetch hotpotqa` gets it");
}

TEST_F(QaTasks, MistakesInTheFilesAreNamedWithTheirPlace) {
  const auto squad_error = [&](const std::string& path, const Json& value) {
    Json json = squad();
    json[Json::json_pointer(path)] = value;
    write(kSquadFile, json.dump());
    const std::string message = input_error([&] { read_squad(squad_); });
    EXPECT_EQ(message.substr(0, squad_.string().size() + 2), squad_.string() + ": ");
    return message.substr(squad_.string().size() + 2);
  };
  EXPECT_EQ(squad_error("/data", 3), "data: expected a list, got 3");
  EXPECT_EQ(squad_error("/data", Json::array()), "there are no questions in it");
  EXPECT_EQ(squad_error("/data/1", Json::object()), "data[1]: \"paragraphs\" is missing");
  EXPECT_EQ(squad_error("/data/1/paragraphs/2/context", ""),
            "data[1].paragraphs[2].context: expected a text that is not empty");
  EXPECT_EQ(squad_error("/data/0/paragraphs/0/qas/0/answers", Json::array()),
            "data[0].paragraphs[0].qas[0].answers: expected at least one answer, got an empty "
            "list");
  EXPECT_EQ(squad_error("/data/0/paragraphs/0/qas/0/answers/1/text", ""),
            "data[0].paragraphs[0].qas[0].answers: expected answers that are not empty");
  EXPECT_EQ(squad_error("/data/0/paragraphs/0/qas/0/is_impossible", "no"),
            "data[0].paragraphs[0].qas[0].is_impossible: expected true or false, got \"no\"");

  const auto hotpot_error = [&](const std::string& bytes) {
    write(kHotpotFile, bytes);
    const std::string message = input_error([&] { read_hotpotqa(hotpot_); });
    EXPECT_EQ(message.substr(0, hotpot_.string().size()), hotpot_.string());
    return message.substr(hotpot_.string().size());
  };
  EXPECT_EQ(hotpot_error("{"), ": not valid JSON: malformed at byte 2");
  EXPECT_EQ(hotpot_error("[]"), ": there are no questions in it");
  EXPECT_EQ(hotpot_error(R"([{"context": [["t"]]}])"),
            ": [0].context[0]: expected a title and a list of sentences, got a list");
  EXPECT_EQ(hotpot_error(R"([{"context": [["t", ["s"]]], "question": "q", "answer": ""}])"),
            ": [0].answer: expected answers that are not empty");
}

}  // namespace
}  // namespace kvbench::ruler
