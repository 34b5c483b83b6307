// `report --html` and `--plots` on a sweep of twenty policies, two lengths, two sources of samples
// and isolated measurements: a random model that says nothing right, but every part of a page.
#include <sys/wait.h>

#include <algorithm>

#include "harness/base/paths.h"
#include "harness/base/process.h"
#include "harness/cli/test_process.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;

constexpr size_t kMostBytes = 6'000'000;
constexpr const char* kMeasured =
    "latency={repeats: 1, warmup: 0, lengths: [1024], decode_tokens: 2}";

const fs::path kRoot = KVBENCH_TEST_ROOT;

class ReportPage : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new test_run::Folder;
    write_bytes(file("sweep.yaml"),
                fmt::format(R"(name: many
model: {{path: {}}}
device: cpu
chat_template: auto
tasks:
  - {{task: ruler/niah_single_1, lengths: [1024, 2000], samples: 3, max_new_tokens: 4}}
  - {{task: own/contains_all, file: {}}}
policies: [full, random, streaming_llm, snapkv, snapkv_kvpress, keydiff, knorm, tova,
  observed_attention, h2o, expected_attention, critical_snapkv, pyramidkv, adakv, tova_decode,
  h2o_decode, gkv, keydiff_chunked, oracle_uniform,
  {{name: wide, scorer: {{name: snapkv, window: 64}}, allocator: uniform}}]
ratios: [0.5, 0.8]
output: many.h5
)",
                            (kRoot / "harness/cli/testdata/tokens_in_config_only").string(),
                            (kRoot / "configs/own_data.jsonl").string()));
    // Some are measured, which is a process each; then all are asked.
    expect_done(kvbench(file(""), {"run", "sweep.yaml", "--set", "policies=[full, snapkv, adakv]",
                                   "--set", kMeasured}));
    expect_done(kvbench(file(""), {"run", "sweep.yaml"}));
  }
  static void TearDownTestSuite() { delete folder_; }

  static fs::path file(const std::string& name) { return *folder_ / name; }

  static Outcome report(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"report", "many.h5", "--table", "summary"};
    words.insert(words.end(), more.begin(), more.end());
    return kvbench(file(""), words);
  }

 private:
  static inline test_run::Folder* folder_;
};

TEST_F(ReportPage, NeedsNothingBesideIt) {
  const Outcome outcome = report({"--html", "page.html"});
  expect_done(outcome);
  EXPECT_TRUE(outcome.out.ends_with("page.html\n")) << outcome.out;
  const std::string page = read_bytes(file("page.html"));
  EXPECT_LT(page.size(), kMostBytes);
  for (const char* part : {"<script src", "<link rel=\"stylesheet\"", "@import"}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  for (const char* part : {"Which policy, at which budget", "oracle_uniform", "Mean score"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  expect_done(report({"--html", "page.html"}));  // its own page is written over
}

// Uses a page in a browser, if there is one.
void use(const fs::path& page) {
  const Finished checked =
      run_for_output({(deps_dir() / "venv/bin/python").string(),
                      (kRoot / "harness/report/browser_check.py").string(), page.string()});
  constexpr int kSkipped = 77;
  if (checked.status == kSkipped) GTEST_SKIP() << checked.output;
  EXPECT_EQ(checked.status, 0) << checked.output;
  EXPECT_NE(checked.output.find("MB, fine in"), std::string::npos) << checked.output;
}

TEST_F(ReportPage, WorksInABrowser) {
  expect_done(report({"--html", "used.html"}));
  use(file("used.html"));
}

// Without a full cache to compare with, the worst samples are those with the lowest scores: all.
TEST_F(ReportPage, ShowsWhereTheNeedleWas) {
  write_bytes(file("few.yaml"),
              fmt::format(R"(name: few
model: {{path: {}}}
device: cpu
chat_template: auto
tasks: [{{task: ruler/niah_single_1, lengths: [1024], samples: 2, max_new_tokens: 4}}]
policies: [snapkv, adakv, keydiff_chunked]
ratios: [0.5, 0.8]
output: few.h5
)",
                          (kRoot / "harness/cli/testdata/tokens_in_config_only").string()));
  expect_done(kvbench(file(""), {"run", "few.yaml"}));
  expect_done(kvbench(file(""), {"report", "few.h5", "--html", "few.html"}));
  const std::string page = read_bytes(file("few.html"));
  for (const char* part :
       {"mentioned in the provided text", "\"needle\":{\"n_layers\":", "\"needle\":null"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  use(file("few.html"));
}

TEST_F(ReportPage, PlotsEveryPart) {
  expect_done(report({"--plots", "plots"}));
  for (const char* name :
       {"1_ruler_niah_single_1_ratio", "2_ruler_niah_single_1_bytes", "3_own_contains_all_ratio",
        "1_tpot", "length_1_0.8", "1_adakv_0.5_budgets"}) {
    EXPECT_TRUE(read_bytes(file("plots") / (std::string(name) + ".png")).starts_with("\x89PNG"));
    EXPECT_TRUE(read_bytes(file("plots") / (std::string(name) + ".svg")).starts_with("<svg"));
  }
  EXPECT_TRUE(fs::exists(file("plots") / "cells.csv"));
}

TEST_F(ReportPage, RefusesWhatItWouldOverwriteOrCannotDraw) {
  write_bytes(file("others.html"), "<html>mine</html>");
  expect_refused(report({"--html", "others.html"}), {"others.html", "was not written by report"});
  EXPECT_EQ(read_bytes(file("others.html")), "<html>mine</html>");
  expect_refused(report({"--html", "none/page.html"}), {"none/page.html", "cannot be written"});
  expect_refused(report({"--html", "."}), {"--html .", "is a folder"});
  expect_refused(kvbench(file(""), {"report", (kRoot / "configs/profiles/smollm2.h5").string(),
                                    "--html", "profile.html"}),
                 {"--html", "smollm2.h5 is a profile"});
  expect_refused(kvbench(file(""), {"report", "none.h5", "--html", "none.html"}),
                 {"none.h5", "No such file"});
  EXPECT_FALSE(fs::exists(file("none.html")));
}

TEST_F(ReportPage, ExportsTheLeaderboardsLayout) {
  const Outcome outcome = report({"--export-leaderboard", "board"});
  expect_done(outcome);
  EXPECT_NE(outcome.err.find("no place for own/contains_all"), std::string::npos) << outcome.err;
  const fs::path folder =
      file("board") / "ruler__2000__tokens_in_config_only__snapkv_kvpress__0.50";
  EXPECT_TRUE(read_bytes(folder / "predictions.csv")
                  .starts_with("task,answer,predicted_answer,compression_ratio\nniah_single_1,"));
  EXPECT_NE(read_bytes(folder / "metrics.json").find("\"niah_single_1\""), std::string::npos);
  EXPECT_TRUE(read_bytes(folder / "config.yaml").starts_with("dataset: \"ruler\"\n"));
  EXPECT_TRUE(fs::exists(file("board") / "ruler__1024__tokens_in_config_only__no_press__0.00"));
  EXPECT_EQ(report({"--export-leaderboard", "board"}).status, 2);  // nothing is written over
}

}  // namespace
}  // namespace kvbench
