// LongBench's metrics, set scores and prompts against the official code's numbers and files
// (reference folder, longbench/).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "harness/base/files.h"
#include "harness/base/json_view.h"
#include "harness/base/paths.h"
#include "harness/golden/golden.h"
#include "tasks/grading.h"
#include "tasks/longbench/jieba.h"
#include "tasks/longbench/scores.h"
#include "tasks/longbench/sets.h"
#include "tasks/metrics.h"
#include "tasks/test_samples.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using namespace longbench;
using nlohmann::json;

#define KVB_REFERENCE_OR_SKIP(FILE)                                         \
  const auto file = golden::reference_root() / "longbench" / (FILE);        \
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent"; \
  const json content = read_json(file)

// Only these two need the dictionary, which is outside data.
bool is_cut_by_jieba(const std::string& metric) {
  return metric == "qa_f1_zh_score" || metric == "rouge_zh_score";
}

bool has_jieba() { return std::filesystem::exists(deps_dir() / "data/jieba/source"); }

// Every case of the metrics that `chosen` picks; how many there were.
template <class Chosen>
size_t compare_metrics(const JsonView& cases, Chosen&& chosen) {
  size_t compared = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonView item = cases[i];
    const std::string& metric = item.at("metric").text();
    if (!chosen(metric)) continue;
    SCOPED_TRACE(fmt::format("case {}, {}: {}", i, metric, item.at("note").text()));
    Answered answered{item.at("prediction").text(), item.at("ground_truths").texts()};
    if (const auto classes = item.find("all_classes")) answered.classes = classes->texts();
    EXPECT_EQ(grade_share(metric, answered), item.at("score").value().get<double>());
    const json& each = item.at("per_answer").value();
    EXPECT_EQ(each.size(), answered.references.size());
    for (size_t r = 0; r < std::min(each.size(), answered.references.size()); ++r) {
      const Answered one{answered.prediction, {answered.references[r]}, answered.classes};
      EXPECT_EQ(grade_share(metric, one), each[r].get<double>());
    }
    if (const auto other = item.find("score_levenshtein")) {
      EXPECT_EQ(grade_share(metric, answered, {{"backend", "levenshtein"}}),
                other->value().get<double>());
    }
    ++compared;
  }
  return compared;
}

TEST(LongBenchGolden, Metrics) {
  KVB_REFERENCE_OR_SKIP("metrics.json");
  const JsonView cases = JsonView(content, file.string()).at("cases");
  EXPECT_GT(compare_metrics(cases, [](const auto& metric) { return !is_cut_by_jieba(metric); }),
            0u);
}

TEST(LongBenchGolden, ChineseMetrics) {
  if (!has_jieba()) GTEST_SKIP() << "setup.sh chinese has not run";
  KVB_REFERENCE_OR_SKIP("metrics.json");
  const JsonView cases = JsonView(content, file.string()).at("cases");
  EXPECT_GT(compare_metrics(cases, is_cut_by_jieba), 0u);
}

void expect_segments(const std::string& text, const std::vector<std::string>& expected) {
  std::vector<std::string> tokens;
  for (const auto& token : jieba().segment(code_points(text))) tokens.push_back(to_utf8(token));
  EXPECT_EQ(tokens, expected);
}

TEST(LongBenchGolden, ChineseWords) {
  if (!has_jieba()) GTEST_SKIP() << "setup.sh chinese has not run";
  KVB_REFERENCE_OR_SKIP("metrics.json");
  const JsonView cases = JsonView(content, file.string()).at("cases");
  size_t compared = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto segments = cases[i].find("segments");
    if (!segments) continue;
    SCOPED_TRACE(fmt::format("case {}: {}", i, cases[i].at("note").text()));
    expect_segments(cases[i].at("prediction").text(), segments->at("prediction").texts());
    const std::vector<std::string> answers = cases[i].at("ground_truths").texts();
    const JsonView of_answers = segments->at("ground_truths");
    ASSERT_EQ(of_answers.size(), answers.size());
    for (size_t r = 0; r < answers.size(); ++r) expect_segments(answers[r], of_answers[r].texts());
    ++compared;
  }
  EXPECT_GT(compared, 0u);
}

// One set's scores against the file's, from the rows on.
void expect_scores(const JsonView& item, const LongBenchSet& set) {
  std::vector<double> official, kvpress;
  std::vector<int64_t> lengths;
  const JsonView rows = item.at("rows");
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& prediction = rows[i].at("pred").text();
    Answered answered{"", rows[i].at("answers").texts()};
    if (const auto classes = rows[i].find("all_classes")) answered.classes = classes->texts();
    answered.prediction = graded_part({.metric = "", .first_line = set.first_line}, prediction);
    official.push_back(grade_share(set.metric, answered));
    answered.prediction =
        graded_part({.metric = "", .strip_start = true, .first_line = set.first_line}, prediction);
    kvpress.push_back(grade_share(set.metric, answered));
    lengths.push_back(rows[i].at("length").integer(0, INT64_MAX));
  }
  EXPECT_EQ(set_score(official), item.at("score").value().get<double>());
  EXPECT_EQ(set_score(kvpress), item.at("score_kvpress").value().get<double>());
  const auto buckets = bucket_scores(official, lengths);
  const json& expected = item.at("score_e").value();
  ASSERT_EQ(expected.size(), kBuckets.size());
  for (size_t b = 0; b < kBuckets.size(); ++b) {
    const json got = buckets[b] ? json(*buckets[b]) : json(nullptr);
    EXPECT_EQ(got, expected.at(kBuckets[b])) << kBuckets[b];
  }
}

TEST(LongBenchGolden, SetScores) {
  KVB_REFERENCE_OR_SKIP("scorer.json");
  const JsonView list = JsonView(content, file.string()).at("datasets");
  std::map<std::string, JsonView> items;
  for (size_t i = 0; i < list.size(); ++i) items.emplace(list[i].at("dataset").text(), list[i]);
  for (const LongBenchSet& set : load_longbench_sets()) {
    SCOPED_TRACE(set.name);
    ASSERT_TRUE(items.contains(set.name));
    if (is_cut_by_jieba(set.metric) && !has_jieba()) continue;
    expect_scores(items.at(set.name), set);
  }
}

TEST(LongBenchGolden, OfficialTemplates) {
  KVB_REFERENCE_OR_SKIP("dataset2prompt.json");
  ASSERT_EQ(content.size(), longbench_set_names().size());
  for (const LongBenchSet& set : load_longbench_sets()) {
    EXPECT_EQ(set.official_template, content.at(set.name).get<std::string>()) << set.name;
  }
}

TEST(LongBenchGolden, KvpressSplit) {
  KVB_REFERENCE_OR_SKIP("kvpress_split.json");
  const json& templates = content.at("templates");
  ASSERT_EQ(templates.size(), longbench_set_names().size());
  for (const LongBenchSet& set : load_longbench_sets()) {
    SCOPED_TRACE(set.name);
    const json& parts = templates.at(set.name);
    EXPECT_EQ(set.context, parts.at("context").get<std::string>());
    EXPECT_EQ(set.question, parts.at("question").get<std::string>());
    EXPECT_EQ(set.answer_prefix, parts.at("answer_prefix").get<std::string>());
  }
}

TEST(LongBenchGolden, GenerationLengths) {
  KVB_REFERENCE_OR_SKIP("dataset2maxlen.json");
  for (const LongBenchSet& set : load_longbench_sets()) {
    EXPECT_EQ(set.max_new_tokens, content.at(set.name).get<int64_t>()) << set.name;
  }
}

// Files in the official format, of any number of sets (like/NAME.jsonl), asked by each protocol:
// the pieces are those of the reference's own templates.
TEST(LongBenchGolden, PromptsOfItems) {
  const auto folder = golden::reference_root() / "longbench";
  auto files = golden::files_below(folder / "like", ".jsonl");
  if (files.empty()) {
    files = golden::files_below(project_root() / "configs/paper/data/longbench_like", ".jsonl");
  }
  if (files.empty() || !std::filesystem::exists(folder / "dataset2prompt.json") ||
      !std::filesystem::exists(folder / "kvpress_split.json")) {
    GTEST_SKIP() << "this reference folder has no items or no templates";
  }
  const json whole = json::parse(read_file(folder / "dataset2prompt.json"));
  const json split = json::parse(read_file(folder / "kvpress_split.json")).at("templates");
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const std::string set = file.stem().string();
    const std::string lines = read_file(file);
    const auto samples_by = [&](const std::string& protocol) {
      return all_samples({.name = "longbench/" + set, .file = file, .protocol = protocol});
    };
    const auto official = samples_by("official"), kvpress = samples_by("kvpress"),
               lukv = samples_by("lukv");
    size_t i = 0;
    for_each_json_line(lines, file.string(), [&](const JsonView& record, int64_t) {
      std::string input = record.at("input").text();
      const auto filled = [&](const std::string& text) {
        return fill_template(text, {{"context", record.at("context").text()}, {"input", input}});
      };
      EXPECT_EQ(official.at(i).context + official[i].question + official[i].answer_prefix,
                filled(whole.at(set).get<std::string>()));
      const json& parts = split.at(set);
      const auto prefix = parts.at("answer_prefix").get<std::string>();
      const std::set<std::string> with_prefix_in_input = {"trec", "triviaqa", "samsum"};
      if (with_prefix_in_input.contains(set) && input.ends_with(prefix)) {
        input.resize(input.size() - prefix.size());
      }
      for (const Sample& sample : {kvpress.at(i), lukv.at(i)}) {
        EXPECT_EQ(sample.context, filled(parts.at("context").get<std::string>()));
        EXPECT_EQ(sample.question, filled(parts.at("question").get<std::string>()));
        EXPECT_EQ(sample.answer_prefix, prefix);
        EXPECT_EQ(sample.max_new_tokens, official[i].max_new_tokens + 20);
      }
      EXPECT_EQ(official[i].words, record.at("length").integer(1, 1 << 30));
      ++i;
      return true;
    });
    EXPECT_EQ(official.size(), i);
  }
}

}  // namespace
}  // namespace kvbench
