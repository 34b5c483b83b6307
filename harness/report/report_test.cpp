#include "harness/report/report.h"

#include <gtest/gtest.h>

#include "harness/report/table.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

CellRow cell(const std::string& task, const std::string& policy, double ratio, double mean) {
  CellRow row;
  row.cell_id = task + policy;
  row.task = task;
  row.max_length = 1024;
  row.policy = policy;
  row.ratio = ratio;
  row.compress = "context";
  row.n = 10;
  row.mean = mean;
  row.ci_low = mean - 5;
  row.ci_high = mean + 5;
  row.kept_ratio = 1 - ratio;
  row.kv_bytes_full = 4 * 1048576.0;
  row.kv_bytes_logical = row.kv_bytes_full * (1 - ratio);
  row.kv_bytes_allocated = row.kv_bytes_logical + 1048576.0;
  return row;
}

const std::vector<ModelCell>& four_cells() {
  static const std::vector<ModelCell> cells = {{"m", cell("ruler/vt", "full", 0, 90)},
                                               {"m", cell("ruler/vt", "snapkv", 0.5, 60)},
                                               {"m", cell("ruler/cwe", "full", 0, 50)},
                                               {"m", cell("ruler/cwe", "snapkv", 0.5, 40)}};
  return cells;
}

TEST(Table, SummaryHasALinePerPolicyAndAColumnPerTask) {
  const auto grids = summary_tables(four_cells());
  ASSERT_EQ(grids.size(), 1u);
  EXPECT_EQ(render(grids[0], Format::kText),
            "Mean score, length 1024, compress context\n"
            "policy  ratio     kept  KV MiB  ruler/vt  ruler/cwe  average  vs full\n"
            "---------------------------------------------------------------------\n"
            "full        0  100.0 %    5.00      90.0       50.0     70.0     +0.0\n"
            "snapkv    0.5   50.0 %    3.00      60.0       40.0     50.0    -20.0\n");
}

TEST(Table, AnAverageNeedsEveryTask) {
  auto cells = four_cells();
  cells.pop_back();
  const auto grid = summary_tables(cells).at(0);
  EXPECT_EQ(grid.rows.at(1),
            (std::vector<std::string>{"snapkv", "0.5", "50.0 %", "3.00", "60.0", "-", "-", "-"}));
}

TEST(Table, CellsShowOnlyColumnsThatSaySomething) {
  auto cells = four_cells();
  const std::string plain = render(cell_table(cells), Format::kText);
  EXPECT_FALSE(contains(plain, "failed") || contains(plain, "prefill") || contains(plain, "model"))
      << plain;
  EXPECT_TRUE(contains(plain, "ruler/vt     1024  context   snapkv    0.5   60.0  55.0  65.0"))
      << plain;
  cells[1].cell.n_errors = 2;
  cells[1].cell.prefill_ms = 12.34;
  cells[3].model = "other";
  const std::string more = render(cell_table(cells), Format::kText);
  EXPECT_TRUE(contains(more, "failed") && contains(more, "12.3") && contains(more, "other"))
      << more;
}

TEST(Table, EveryFormatEscapesItsOwnMarks) {
  Grid grid;
  grid.columns = {{"a_b", false}, {"n"}};
  grid.rows = {{"x|y, \"z\" 5%", "1"}};
  EXPECT_EQ(render(grid, Format::kMarkdown),
            "| a_b          |   n |\n| ------------ | --: |\n| x\\|y, \"z\" 5% |   1 |\n");
  EXPECT_EQ(render(grid, Format::kCsv), "a_b,n\n\"x|y, \"\"z\"\" 5%\",1\n");
  EXPECT_EQ(render(grid, Format::kLatex),
            "\\begin{tabular}{lr}\n\\toprule\na\\_b         & n \\\\\n\\midrule\n"
            "x|y, \"z\" 5\\% & 1 \\\\\n\\bottomrule\n\\end{tabular}\n");
}

TEST(Report, AnUnfinishedFileSaysSoAtTheTop) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    ResultsStore store(path, test_run::info(), test_run::cells(5), test_run::kLayers,
                       test_run::kHeads);
    for (int64_t i = 0; i < 3; ++i) store.append(test_run::row(i), {});
  }
  const Report made = report({path}, {});
  EXPECT_EQ(made.text.find(path.string() + ": incomplete: 3 of 10 rows\n"), 0u) << made.text;
  EXPECT_TRUE(contains(made.text, "tiny on cpu, 2 threads")) << made.text;
  EXPECT_TRUE(contains(made.text, "snapkv")) << made.text;
  const Report csv = report({path}, {"samples", Format::kCsv});
  EXPECT_EQ(csv.text.find("cell_id,task,max_length,"), 0u);
  EXPECT_EQ(csv.warnings.size(), 1u);
}

TEST(Report, FilesAreTakenTogetherOnce) {
  const test_run::Folder folder;
  const auto a = folder / "a.h5", b = folder / "b.h5";
  test_run::work(a, 2);
  RunInfo info = test_run::info();
  {
    ResultsStore store(b, info, test_run::cells(2), test_run::kLayers, test_run::kHeads);
    for (int64_t i = 4; i < 8; ++i) store.append(test_run::row(i), {});
    store.finish();
  }
  const Report both = report({a, b}, {"cells", Format::kCsv});
  EXPECT_TRUE(both.warnings.empty());
  EXPECT_TRUE(contains(both.text, "c0,ruler/vt,1024,full,none,uniform,0,context,2,4,0,"))
      << both.text;
  EXPECT_THROW(report({a, a}, {}), InputError);
}

TEST(Report, UnknownNamesGetNearMatches) {
  try {
    report({}, {"sumary", Format::kText});
    FAIL();
  } catch (const InputError& e) {
    EXPECT_TRUE(contains(e.what(), "did you mean summary?")) << e.what();
  }
  EXPECT_THROW(parse_format("html"), InputError);
  EXPECT_THROW(report({"no/such.h5"}, {}), InputError);
  EXPECT_THROW(report({}, {"paired", Format::kText}), InputError);
  EXPECT_THROW(report({}, {"cells", Format::kText, "full"}), InputError);
}

}  // namespace
}  // namespace kvbench
