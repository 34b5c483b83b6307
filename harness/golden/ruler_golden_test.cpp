// RULER against what the official code and kvpress computed (reference folder, ruler/).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/base/hash.h"
#include "harness/base/test_util.h"
#include "harness/golden/golden.h"
#include "harness/text/tokenizer.h"
#include "tasks/metrics.h"
#include "tasks/ruler/aggregation_check.h"
#include "tasks/ruler/ruler_file.h"
#include "tasks/ruler/ruler_task.h"
#include "tasks/ruler/string_match.h"
#include "tasks/ruler/structure_check.h"
#include "tasks/ruler/test_records.h"
#include "tasks/test_samples.h"
#include "tasks/text.h"

namespace kvbench {
namespace {

using Json = nlohmann::json;

std::filesystem::path reference() { return golden::reference_root() / "ruler"; }

std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Sorted "<length>/<task>.jsonl" below `folder`.
std::vector<std::filesystem::path> sample_files(const std::filesystem::path& folder) {
  std::set<std::filesystem::path> files;
  if (!std::filesystem::is_directory(folder)) return {};
  for (const auto& length : std::filesystem::directory_iterator(folder)) {
    const std::string name = length.path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos) continue;
    for (const auto& file : std::filesystem::directory_iterator(length)) {
      if (file.path().extension() == ".jsonl") files.insert(file.path());
    }
  }
  return {files.begin(), files.end()};
}

// Those of one task.
std::vector<std::filesystem::path> files_of(const std::string& task) {
  std::vector<std::filesystem::path> files = sample_files(reference());
  std::erase_if(files, [&](const auto& file) { return file.stem() != task; });
  return files;
}

std::string decimals(const Json& score) { return fmt::format("{:.2f}", score.get<double>()); }

TEST(RulerGolden, Scoring) {
  const auto file = reference() / "scoring.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const Json scoring = Json::parse(read_bytes(file));
  for (const Json& stored : scoring.at("cases")) {
    SCOPED_TRACE(stored.at("name").get<std::string>());
    std::vector<ruler::GradedSample> samples;
    for (const Json& sample : stored.at("samples")) {
      samples.push_back({sample.at("pred"), sample.at("refs")});
    }
    const Json& official = stored.at("official");
    for (const char* metric : {"string_match_all", "string_match_part"}) {
      EXPECT_EQ(ruler::task_score(metric, samples), decimals(official.at(metric)));
      EXPECT_EQ(ruler::task_score(std::string(metric) + "_kvpress", samples),
                decimals(stored.at("kvpress").at(metric)));
      if (samples.size() == 1) {
        EXPECT_NEAR(grade(metric, samples[0].prediction, samples[0].references),
                    official.at(metric).get<double>(), 0.005);
      }
    }
    EXPECT_EQ(ruler::empty_predictions(samples), official.at("nulls"));
    for (size_t i = 0; i < samples.size(); ++i) {
      EXPECT_EQ(ruler::clean_prediction(ruler::ControlCharacters::kNewline, samples[i].prediction),
                official.at("postprocessed").at(i));
    }
  }
  EXPECT_FALSE(scoring.at("cases").empty());
}

TEST(RulerGolden, KvpressSplit) {
  const auto files = sample_files(reference() / "kvpress_split");
  if (files.empty())
    GTEST_SKIP() << reference() / "kvpress_split"
                 << " is absent";
  for (const auto& file : files) {
    const auto source = reference() / file.parent_path().filename() / file.filename();
    SCOPED_TRACE(source.string());
    const Task& task = find_task("ruler/" + file.stem().string());
    const std::vector<Sample> samples = all_samples({.name = task.name(), .file = source});
    const std::string bytes = read_bytes(file);
    const std::vector<std::string_view> lines = split_lines(bytes);
    ASSERT_EQ(samples.size(), lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      const Json expected = Json::parse(lines[i]);
      EXPECT_EQ(samples[i].id, expected.at("row"));
      EXPECT_EQ(count_code_points(samples[i].context), expected.at("context_chars"));
      EXPECT_EQ(sha256_hex(samples[i].context), expected.at("context_sha256"));
      EXPECT_EQ(samples[i].question, expected.at("question"));
      EXPECT_EQ(samples[i].answer_prefix, expected.at("answer_prefix"));
      EXPECT_EQ(Json(samples[i].references), expected.at("answer"));
      EXPECT_EQ(samples[i].max_new_tokens, expected.at("max_new_tokens"));
    }
  }
}

// Older files hold the answer prefix at the end of `input`.
TEST(RulerGolden, FilesWithoutAnswerPrefixGiveTheSameSamples) {
  const auto files = sample_files(reference());
  if (files.empty()) GTEST_SKIP() << "no sample files below " << reference();
  const auto older = process_folder() / "older.jsonl";
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    std::vector<RulerRecord> records = read_ruler_file(file);
    for (RulerRecord& record : records) {
      record.input = record.prompt();
      record.answer_prefix.reset();
    }
    write_ruler_file(older, records);
    const Task& task = find_task("ruler/" + file.stem().string());
    const auto now = all_samples({.name = task.name(), .file = file});
    const auto then = all_samples({.name = task.name(), .file = older});
    ASSERT_EQ(now.size(), then.size());
    for (size_t i = 0; i < now.size(); ++i) {
      EXPECT_EQ(now[i].context, then[i].context);
      EXPECT_EQ(now[i].question, then[i].question);
      EXPECT_EQ(now[i].answer_prefix, then[i].answer_prefix);
    }
  }
}

TEST(RulerGolden, WrittenFilesAreTheOfficialBytes) {
  const auto files = sample_files(reference());
  if (files.empty()) GTEST_SKIP() << "no sample files below " << reference();
  const auto copy = process_folder() / "copy.jsonl";
  for (const auto& file : files) {
    write_ruler_file(copy, read_ruler_file(file));
    EXPECT_TRUE(read_bytes(copy) == read_bytes(file)) << file;
  }
}

// The official samples pass the very checks that the tests of the generators here make.
TEST(RulerGolden, NiahStructure) {
  bool any = false;
  for (const auto& file : sample_files(reference())) {
    const auto variant = ruler::niah_variants().find(file.stem().string());
    if (variant == ruler::niah_variants().end()) continue;
    any = true;
    std::set<std::vector<size_t>> places;
    for (const RulerRecord& record : read_ruler_file(file)) {
      SCOPED_TRACE(fmt::format("{}:{}", file.string(), record.line + 1));
      places.insert(ruler::check_niah(record, variant->second));
    }
    if (variant->first == "niah_multivalue") {
      EXPECT_EQ(places.size(), 1u) << "a fixed shuffle";
    }
  }
  if (!any) GTEST_SKIP() << "no niah files below " << reference();
}

TEST(RulerGolden, VariableTrackingStructure) {
  const auto files = files_of("vt");
  if (files.empty()) GTEST_SKIP() << "no vt files below " << reference();
  for (const auto& file : files) {
    std::set<int64_t> example_lines;
    for (const RulerRecord& record : read_ruler_file(file)) {
      SCOPED_TRACE(fmt::format("{}:{}", file.string(), record.line + 1));
      EXPECT_EQ(record.index, record.line);
      example_lines.insert(ruler::check_variable_tracking(record).example_lines);
    }
    EXPECT_EQ(example_lines.size(), 1u) << "the example is made once";
  }
}

TEST(RulerGolden, CommonWordsStructure) {
  const auto files = files_of("cwe");
  if (files.empty()) GTEST_SKIP() << "no cwe files below " << reference();
  for (const auto& file : files) {
    const int64_t length = std::stoll(file.parent_path().filename());
    std::set<std::vector<std::vector<size_t>>> examples;
    std::map<size_t, std::set<std::vector<std::vector<size_t>>>> places;
    for (const RulerRecord& record : read_ruler_file(file)) {
      SCOPED_TRACE(fmt::format("{}:{}", file.string(), record.line + 1));
      const auto check = ruler::check_common_words(record, length);
      examples.insert(check.example);
      places[check.distinct].insert(check.places);
    }
    EXPECT_EQ(examples.size(), 1u) << "a fixed shuffle";
    for (const auto& [distinct, fixed] : places) EXPECT_EQ(fixed.size(), 1u) << distinct;
  }
}

TEST(RulerGolden, FrequentWordsStructure) {
  const auto files = files_of("fwe");
  if (files.empty()) GTEST_SKIP() << "no fwe files below " << reference();
  for (const auto& file : files) {
    const int64_t length = std::stoll(file.parent_path().filename());
    std::map<int64_t, std::set<std::vector<size_t>>> patterns;
    for (const RulerRecord& record : read_ruler_file(file)) {
      SCOPED_TRACE(fmt::format("{}:{}", file.string(), record.line + 1));
      const auto check = ruler::check_frequent_words(record, length);
      patterns[check.words].insert(check.pattern);
    }
    for (const auto& [words, fixed] : patterns) EXPECT_EQ(fixed.size(), 1u) << "a fixed shuffle";
  }
}

// The share of the token budget that samples use, by the official files' tokenizer. A short essay
// sample is 500 words below a full one, and how many are is a matter of the search's last draw.
TEST(RulerGolden, GeneratedSamplesUseTheBudgetAsTheOfficialOnesDo) {
  const auto file = golden::model_dir() / "tokenizer.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const Tokenizer tokenizer = Tokenizer::load(file);
  const auto count = [&](std::string_view text) {
    return static_cast<int64_t>(tokenizer.encode(text).size());
  };
  struct Budget {
    double least, most;
  };
  const std::map<std::string, Budget> budgets = {{"niah_single_1", {0.96, 1}},
                                                 {"niah_single_2", {0.84, 1}},
                                                 {"niah_multikey_1", {0.84, 1}},
                                                 {"niah_multikey_2", {0.93, 1}},
                                                 {"niah_multikey_3", {0.93, 1}},
                                                 {"niah_multiquery", {0.84, 1}},
                                                 {"niah_multivalue", {0.84, 1}},
                                                 {"vt", {0.93, 1}},
                                                 {"cwe", {0.93, 1}},
                                                 {"fwe", {0.85, 0.98}}};
  for (const auto& [task, budget] : budgets) {
    double sum = 0;
    const auto records = generate_ruler("ruler/" + task, 4096, 10, 42, count);
    for (const RulerRecord& record : records) {
      EXPECT_LE(*record.length, 4096);
      sum += static_cast<double>(*record.length) / 4096 / 10;
    }
    EXPECT_GE(sum, budget.least) << task;
    EXPECT_LE(sum, budget.most) << task;
    RecordProperty(task, std::to_string(sum));
  }
}

}  // namespace
}  // namespace kvbench
