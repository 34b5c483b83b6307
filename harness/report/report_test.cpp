#include "harness/report/report.h"

#include <gtest/gtest.h>

#include <fstream>

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

// The numbers of earlier reports, which knew neither groups nor contexts.
TEST(Report, FilesOfEarlierSchemasAreReportedAsBefore) {
  const std::filesystem::path root = KVBENCH_TEST_ROOT;
  const std::string v2 = report({root / "results/reference/quickstart.h5"}, {}).text;
  EXPECT_TRUE(contains(v2, "Mean score, length 1024, compress context\n")) << v2;
  EXPECT_TRUE(contains(v2,
                       "lukv_curves      0.8   20.0 %    3.42                 80.0           "
                       "     100.0                   50.0     76.7  10    -13.3\n"))
      << v2;
  EXPECT_TRUE(contains(v2, "keydiff          0.5   70.0   40.0   90.2  10   49.9 %")) << v2;
  const std::string v1 =
      report({root / "harness/results/testdata/schema_v1.h5"}, {"paired", Format::kText, "full"})
          .text;
  EXPECT_TRUE(contains(v1, "streaming_llm    0.5  10        10   50.0       -50.0   -80.0   -20.0"))
      << v1;
}

TEST(Report, UnknownNamesGetNearMatches) {
  EXPECT_TRUE(contains(refused({}, {"sumary", Format::kText}), "did you mean summary?"));
  EXPECT_NE(refused({}, {"paired", Format::kText}), "not refused");
  EXPECT_NE(refused({}, {"cells", Format::kText, "full"}), "not refused");
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
