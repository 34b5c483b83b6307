#include "harness/report/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "harness/results/test_run.h"

namespace kvbench {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string refused(const std::vector<std::filesystem::path>& files, const ReportOptions& options) {
  try {
    report(files, options);
  } catch (const InputError& e) {
    return e.what();
  }
  return "not refused";
}

// What a table says of the cells of test_run.
Target target(const std::string& policy, double ratio) {
  Target target;
  target.place = "t.yaml:1";
  target.model = test_run::info().model;
  target.protocol = "official";
  target.compress = "context";
  target.policy = policy;
  target.ratio = ratio;
  target.task = "ruler/vt";
  target.tasks = {"ruler/vt"};
  target.value = 50;
  target.tolerance = 1;
  target.grade = "A";
  return target;
}

TEST(Report, AnUnfinishedFileSaysSoAtTheTop) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    ResultsStore store(path, test_run::info(), test_run::plan(5), test_run::kLayers,
                       test_run::kHeads);
    for (int64_t i = 0; i < 3; ++i) store.append(test_run::row(i), {});
  }
  const Report made = report({path}, {});
  EXPECT_EQ(made.text.find(path.string() + ": incomplete: 3 of 10 rows\n"), 0u) << made.text;
  EXPECT_TRUE(contains(made.text, "tiny on cpu, 2 threads")) << made.text;
  EXPECT_TRUE(contains(made.text, "snapkv")) << made.text;
  const Report csv = report({path}, {"samples", Format::kCsv});
  EXPECT_EQ(csv.text.find("block,block_title,model,"), 0u);
  EXPECT_EQ(csv.warnings.size(), 1u);
}

TEST(Report, FilesAreTakenTogetherOnce) {
  const test_run::Folder folder;
  const auto a = folder / "a.h5", b = folder / "b.h5";
  test_run::work(a, 2);
  test_run::work(b, 4);
  const Report both = report({a, b}, {"samples", Format::kCsv});
  EXPECT_TRUE(both.warnings.empty());
  EXPECT_EQ(both.text, report({b}, {"samples", Format::kCsv}).text.substr(0, both.text.size()));
  EXPECT_EQ(std::count(both.text.begin(), both.text.end(), '\n'), 9) << both.text;
}

TEST(Report, PredictionsAreCutForPeopleOnly) {
  const test_run::Folder folder;
  test_run::work(folder / "a.h5", 3);  // row 5 says 900 x
  const std::string said(900, 'x');
  EXPECT_FALSE(contains(report({folder / "a.h5"}, {"samples"}).text, said));
  EXPECT_TRUE(contains(report({folder / "a.h5"}, {"samples", Format::kCsv}).text, said));
}

TEST(Report, SaysWhatFailed) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    ResultsStore store(path, test_run::info(), test_run::plan(1), test_run::kLayers,
                       test_run::kHeads);
    SampleRow row = test_run::row(1);
    row.error = "out of memory";
    row.score = NAN;
    store.append(test_run::row(0), {});
    store.append(row, {});
    store.finish();
  }
  const std::string text = report({path}, {}).text;
  EXPECT_TRUE(contains(text, "snapkv    0.5  ruler/vt       1   1  out of memory")) << text;
}

TEST(Report, WithoutLatencyItSaysWhatToAdd) {
  const test_run::Folder folder;
  test_run::work(folder / "a.h5", 1);
  const std::string hint =
      "no isolated measurements: add `latency: {lengths: [4096]}` to the sweep";
  EXPECT_EQ(report({folder / "a.h5"}, {"latency"}).text.find(hint + "\n"), 0u);
  const Report csv = report({folder / "a.h5"}, {"memory", Format::kCsv});
  EXPECT_EQ(csv.warnings, std::vector<std::string>{hint});
  EXPECT_EQ(std::count(csv.text.begin(), csv.text.end(), '\n'), 1);
}

// The records of a CSV text (RFC 4180).
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records(1, {""});
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string& cell = records.back().back();
    if (quoted && text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      cell += text[++i];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == ',') {
      records.back().emplace_back();
    } else if (!quoted && text[i] == '\n') {
      records.emplace_back(1, "");
    } else {
      cell += text[i];
    }
  }
  records.pop_back();  // behind the last line break
  return records;
}

TEST(Report, EveryCsvIsOneTableWithNumbersAsNumbers) {
  const test_run::Folder folder;
  std::vector<Cell> own_budget = test_run::cells();
  own_budget[1].ratio = NAN;
  {
    ResultsStore store(folder / "a.h5", test_run::info(), test_run::plan(2, own_budget),
                       test_run::kLayers, test_run::kHeads);
    for (int64_t i = 0; i < 4; ++i) {
      SampleRow row = test_run::row(i);
      row.prediction = "a, \"b\"\nc";
      store.append(row, {});
    }
    LatencyRow row;
    row.policy = "full";
    row.policy_id = "p0";
    store.add_latency(row);
    store.finish();
  }
  const std::set<std::string> texts = {
      "block_title", "model",  "model_hash", "dtype",       "prompt_hash",  "end_tokens",
      "numerics",    "task",   "source",     "protocol",    "metric",       "policy",
      "scorer",      "path",   "allocator",  "compress",    "against",      "verdict",
      "cell_id",     "error",  "group_id",   "policy_id",   "sample_hash",  "context_id",
      "prediction",  "device", "cpu_name",   "references",  "gpu_name",     "sign",
      "why",         "grade",  "place",      "prompt_tail", "needle_spans", "needle_kept"};
  for (const std::string table :
       {"summary", "cells", "samples", "latency", "memory", "paired", "targets"}) {
    ReportOptions options{table, Format::kCsv, table == "paired" ? "full" : ""};
    if (table == "targets") options.targets = {target("full", NAN), target("absent", 0.5)};
    const auto records = parse_csv(report({folder / "a.h5"}, options).text);
    ASSERT_GT(records.size(), 1U) << table;
    const auto& header = records[0];
    EXPECT_EQ(std::set<std::string>(header.begin(), header.end()).size(), header.size()) << table;
    for (size_t i = 1; i < records.size(); ++i) {
      ASSERT_EQ(records[i].size(), header.size()) << table << " " << i;
      for (size_t j = 0; j < header.size(); ++j) {
        const std::string& cell = records[i][j];
        char* end = nullptr;
        std::strtod(cell.c_str(), &end);
        EXPECT_TRUE(texts.contains(header[j]) || *end == '\0')
            << table << ": " << header[j] << " is " << cell;
        EXPECT_NE(cell, "nan");
      }
    }
  }
}

// The numbers of earlier reports, which knew neither groups nor contexts.
TEST(Report, FilesOfEarlierSchemasAreReportedAsBefore) {
  const std::filesystem::path root = KVBENCH_TEST_ROOT;
  const std::string v2 = report({root / "harness/results/testdata/schema_v2.h5"}, {}).text;
  EXPECT_TRUE(contains(v2, "Mean score, length 1024, compress context\n")) << v2;
  EXPECT_TRUE(contains(v2,
                       "lukv_curves      0.8   20.0 %    3.42                 80.0           "
                       "     100.0                   50.0     76.7  10    -13.3  cannot tell\n"))
      << v2;
  EXPECT_TRUE(contains(v2, "keydiff          0.5   70.0  37.1   90.2  10   49.9 %")) << v2;
  const std::string v1 =
      report({root / "harness/results/testdata/schema_v1.h5"}, {"paired", Format::kText, "full"})
          .text;
  EXPECT_TRUE(contains(v1, "streaming_llm    0.5  10        10   50.0       -50.0   -78.2   -2.3"))
      << v1;
  const auto v3 = root / "harness/results/testdata/schema_v3.h5";
  const Report regraded = report({v3}, {.regrade = true});
  EXPECT_TRUE(contains(regraded.text, "snapkv    0.5   50.0 %    4.11")) << regraded.text;
  ASSERT_EQ(regraded.warnings.size(), 1u);
  EXPECT_TRUE(contains(regraded.warnings[0], "4 rows graded anew, 0 scores are not the stored"));
}

TEST(Report, VerdictsAreCountedAtTheTop) {
  const test_run::Folder folder;
  test_run::work(folder / "a.h5", 4);
  ReportOptions options{"targets"};
  options.targets = {target("snapkv", 0.5), target("snapkv", 0.9)};
  const Report made = report({folder / "a.h5"}, options);
  EXPECT_TRUE(contains(made.text, "targets: cannot tell: 1, not run: 1\n")) << made.text;
  EXPECT_TRUE(contains(made.text, "the full cache has no target")) << made.text;
  EXPECT_TRUE(contains(made.text, "\nTargets, length 1024, compress context\n")) << made.text;
  EXPECT_TRUE(contains(made.text, "\nTargets that were not run\n")) << made.text;
  options.format = Format::kLatex;
  EXPECT_TRUE(contains(report({folder / "a.h5"}, options).text, "% targets: cannot tell: 1"));
}

TEST(Report, UnknownNamesGetNearMatches) {
  EXPECT_TRUE(contains(refused({}, {"sumary", Format::kText}), "did you mean summary?"));
  EXPECT_NE(refused({}, {"paired", Format::kText}), "not refused");
  EXPECT_NE(refused({}, {"cells", Format::kText, "full"}), "not refused");
  EXPECT_TRUE(contains(refused({}, {"targets"}), "needs --targets FILE"));
  EXPECT_TRUE(contains(refused({}, {"cells", Format::kText, "", {target("full", NAN)}}),
                       "stands beside no other table"));
}

TEST(Report, FilesOfAnotherKindAreRefusedInOneLine) {
  const test_run::Folder folder;
  std::ofstream(folder / "w1.yaml") << "name: x\n";
  h5::write_attribute(h5::File(folder / "other.h5", h5::Mode::kCreate), "/", "a", int64_t{1});
  EXPECT_EQ(refused({folder / "w1.yaml"}, {}),
            (folder / "w1.yaml").string() +
                ": not an HDF5 file (no signature of one); expected a results file of `kvbench "
                "run` or a profile");
  EXPECT_TRUE(contains(refused({folder / "other.h5"}, {}), "other.h5: /: not a results file"))
      << refused({folder / "other.h5"}, {});
  EXPECT_TRUE(contains(refused({"no/such.h5"}, {}), "No such file"));
}

}  // namespace
}  // namespace kvbench
