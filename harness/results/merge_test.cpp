#include "harness/results/merge.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "harness/base/error.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSamples = 6;

// Samples in turn to two shards: the first `n_rows` rows of one of them.
struct Part {
  int64_t shard = 1;
  int64_t n_rows = kSamples;  // both cells of three samples
  RunInfo info = test_run::info();
  std::vector<Cell> cells = test_run::cells();
  std::function<void(SampleRow&)> change = [](SampleRow&) {};
};

std::vector<PlannedGroup> plan_of(const Part& part) {
  auto plan = test_run::plan(kSamples, part.cells);
  plan[0].sample_ids.clear();
  for (int64_t i = 0; i < kSamples; ++i) {
    plan[0].of_all_shards.push_back({"g", i, i % 2 + 1});
    if (i % 2 + 1 == part.shard) plan[0].sample_ids.push_back(i);
  }
  return plan;
}

class MergeTest : public testing::Test {
 protected:
  fs::path write(const std::string& name, Part part) {
    part.info.shard = fmt::format("{}/2", part.shard);
    ResultsStore store(folder_ / name, part.info, plan_of(part), test_run::kLayers,
                       test_run::kHeads);
    int64_t n_rows = 0;
    for (int64_t i = 0; i < 2 * kSamples && n_rows < part.n_rows; ++i) {
      SampleRow row = test_run::row(i);
      if (row.sample_id % 2 + 1 != part.shard) continue;
      part.change(row);
      if (store.is_done(key_of(row))) continue;
      store.append(row, row.error.empty() ? test_run::keep_counts(i) : std::vector<int32_t>());
      ++n_rows;
    }
    if (store.n_done() == store.n_planned()) store.finish();
    return folder_ / name;
  }

  std::string refusal(const std::vector<fs::path>& inputs, const char* out = "out.h5") {
    try {
      merge_results(folder_ / out, inputs);
    } catch (const InputError& e) {
      return e.what();
    }
    return "nothing was thrown";
  }

  static void expect(const std::string& text, const std::vector<std::string>& parts) {
    for (const auto& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  test_run::Folder folder_;
};

std::string text_of(const CellRow& cell) {
  std::string all;
  visit_columns(cell, [&](const char* name, const auto& value) {
    all += fmt::format("{}={}\n", name, value);
  });
  return all;
}

TEST_F(MergeTest, EqualsTheWholeRun) {
  test_run::work(folder_ / "whole.h5", kSamples);
  const Results whole = read_results(folder_ / "whole.h5");
  const auto a = write("a.h5", {.shard = 1}), b = write("b.h5", {.shard = 2});
  for (const auto& inputs : {std::vector{a, b}, std::vector{b, a}}) {
    const Merged merged = merge_results(folder_ / "out.h5", inputs);  // the second over the first
    EXPECT_TRUE(merged.complete);
    EXPECT_EQ(merged.n_rows, 2 * kSamples);
    EXPECT_EQ(merged.n_double, 0);
    EXPECT_TRUE(merged.notes.empty());
    EXPECT_EQ(test_run::checked_rows(folder_ / "out.h5"), 2 * kSamples);  // rows and keep counts
    const Results out = read_results(folder_ / "out.h5");
    EXPECT_TRUE(out.state.complete);
    EXPECT_EQ(out.info.shard, "");
    EXPECT_EQ(out.info.config, whole.info.config);
    EXPECT_EQ(out.info.data_hashes, whole.info.data_hashes);
    ASSERT_EQ(out.cells.size(), whole.cells.size());
    for (size_t i = 0; i < out.cells.size(); ++i) {
      EXPECT_EQ(text_of(out.cells[i]), text_of(whole.cells[i]));
    }
    EXPECT_NE(out.state.sessions.find("shard=1/2"), std::string::npos) << out.state.sessions;
    EXPECT_NE(out.state.sessions.find("shard=2/2"), std::string::npos) << out.state.sessions;
    EXPECT_EQ(out.state.merged_from, inputs[0].string() + "\n" + inputs[1].string() + "\n");
  }
}

TEST_F(MergeTest, NamesWhatIsMissingAndARunMakesIt) {
  const auto a = write("a.h5", {.shard = 1, .n_rows = 3});  // sample 0, and 2 of the first cell
  const Merged merged = merge_results(folder_ / "out.h5", {a});
  EXPECT_FALSE(merged.complete);
  EXPECT_EQ(merged.n_rows, 3);
  ASSERT_EQ(merged.missing.size(), 4u);
  EXPECT_EQ(merged.missing[0].cell.policy, "full");
  EXPECT_EQ(merged.missing[0].shard, 1);
  EXPECT_EQ(merged.missing[0].sample_ids, (std::vector<int64_t>{4}));
  EXPECT_EQ(merged.missing[1].shard, 2);
  EXPECT_EQ(merged.missing[1].sample_ids, (std::vector<int64_t>{1, 3, 5}));
  EXPECT_EQ(merged.missing[2].cell.policy, "snapkv");
  EXPECT_EQ(merged.missing[2].sample_ids, (std::vector<int64_t>{2, 4}));
  Results out = read_results(folder_ / "out.h5");
  EXPECT_FALSE(out.state.complete);
  EXPECT_EQ(out.planned_rows(), 2 * kSamples);

  // What was merged can be merged again, with what came since.
  const auto b = write("b.h5", {.shard = 2});
  const Merged more = merge_results(folder_ / "more.h5", {folder_ / "out.h5", b});
  ASSERT_EQ(more.missing.size(), 2u);
  EXPECT_EQ(more.missing[0].sample_ids, (std::vector<int64_t>{4}));

  test_run::work(folder_ / "out.h5", kSamples);  // the whole run goes on with the file
  EXPECT_EQ(test_run::checked_rows(folder_ / "out.h5"), 2 * kSamples);
  EXPECT_TRUE(read_results(folder_ / "out.h5").state.complete);
  expect(refusal({a, b}), {"out.h5", "was not written by merge"});  // it holds a run's rows now
}

TEST_F(MergeTest, KeepsEqualRowsOnceAndRefusesDifferentOnes) {
  const auto a = write("a.h5", {.shard = 1}), b = write("b.h5", {.shard = 2});
  const auto again = write("again.h5", {.change = [](SampleRow& row) { row.decode_ms += 1; }});
  const Merged merged = merge_results(folder_ / "out.h5", {a, b, again});
  EXPECT_TRUE(merged.complete);
  EXPECT_EQ(merged.n_double, kSamples);
  EXPECT_EQ(test_run::checked_rows(folder_ / "out.h5"), 2 * kSamples);  // the first one's times

  const auto other = write("other.h5", {.change = [](SampleRow& row) {
                             if (row.sample_id == 2 && row.ratio > 0) row.prediction = "no";
                           }});
  expect(refusal({a, b, other}, "o.h5"),
         {"other.h5: sample 2 of ruler/vt (snapkv at 0.5, cell c1) differs from that in",
          "a.h5: prediction"});
  EXPECT_FALSE(fs::exists(folder_ / "o.h5"));
}

TEST_F(MergeTest, AFailedRowGivesWayToOneThatDidNot) {
  const auto failed = write("a.h5", {.change = [](SampleRow& row) {
                              if (row.sample_id != 2) return;
                              row.score = NAN;
                              row.error = "out of memory";
                            }});
  const auto good = write("b.h5", {.shard = 1}), rest = write("c.h5", {.shard = 2});
  for (const auto& inputs : {std::vector{failed, good, rest}, std::vector{rest, good, failed}}) {
    const Merged merged = merge_results(folder_ / "out.h5", inputs);
    EXPECT_EQ(merged.n_failed, 0);
    EXPECT_TRUE(merged.complete);
    EXPECT_EQ(test_run::checked_rows(folder_ / "out.h5"), 2 * kSamples);
  }
  const Merged merged = merge_results(folder_ / "out.h5", {failed, rest});
  EXPECT_EQ(merged.n_failed, 2);
  EXPECT_TRUE(merged.complete);
}

TEST_F(MergeTest, ExtensionsBecomeOne) {
  Part small{.cells = {test_run::cells()[0]}};
  small.info.config = "name: small\n";
  auto plan = test_run::plan(kSamples, small.cells);
  plan[0].sample_ids = {0, 2, 4};
  ResultsStore store(folder_ / "a.h5", small.info, plan, test_run::kLayers, test_run::kHeads);
  for (int64_t i = 0; i < 2 * kSamples; i += 4) {
    store.append(test_run::row(i), test_run::keep_counts(i));
  }
  store.finish();
  test_run::work(folder_ / "b.h5", kSamples);
  const Merged merged = merge_results(folder_ / "out.h5", {folder_ / "a.h5", folder_ / "b.h5"});
  EXPECT_TRUE(merged.complete);
  EXPECT_EQ(merged.n_double, 3);
  ASSERT_EQ(merged.notes.size(), 1u);
  expect(merged.notes[0], {"b.h5", "its configuration is not that of"});
  EXPECT_EQ(test_run::checked_rows(folder_ / "out.h5"), 2 * kSamples);
}

TEST_F(MergeTest, MeasurementsComeFromTheShardThatMakesThem) {
  Part first{.shard = 1}, second{.shard = 2};
  first.info.config = second.info.config = "name: a\nlatency: {repeats: 1}\n";
  const auto a = write("a.h5", first), b = write("b.h5", second);
  const auto begun = write("begun.h5", {.shard = 1, .n_rows = 0, .info = first.info});
  {
    Part all = first;
    all.info.shard = "1/2";
    ResultsStore store(a, all.info, plan_of(all), test_run::kLayers, test_run::kHeads);
    LatencyRow row;
    row.cell_id = "l";
    row.repeat = 0;
    row.tpot_ms = 3;
    store.add_latency(row);
    store.finish();
  }
  Merged merged = merge_results(folder_ / "out.h5", {a, b});
  EXPECT_TRUE(merged.complete);
  ASSERT_EQ(read_results(folder_ / "out.h5").latency.size(), 1u);
  EXPECT_EQ(read_results(folder_ / "out.h5").latency[0].tpot_ms, 3);
  merged = merge_results(folder_ / "out.h5", {b, begun});
  EXPECT_FALSE(merged.complete);
  ASSERT_EQ(merged.notes.size(), 1u);
  expect(merged.notes[0], {"latency measurements are missing: shard 1"});
}

TEST_F(MergeTest, RefusesWhatIsNotOneSweep) {
  const auto a = write("a.h5", {.shard = 1});
  Part other{.shard = 2};
  other.info.dtype = "bfloat16";
  expect(refusal({a, write("dtype.h5", other)}),
         {"dtype.h5: holds another run than", "dtype is float32", "bfloat16"});
  other = {.shard = 2};
  other.info.data_hashes = "a.jsonl d2\n";
  expect(refusal({a, write("data.h5", other)}),
         {"data.h5: was made of other data than", "a.h5", "a.jsonl d2"});
  expect(refusal({a, folder_ / "none.h5"}), {"none.h5"});
  expect(refusal({a}, "a.h5"), {"a.h5: is among the files to be merged"});
  std::ofstream(folder_ / "text.h5") << "a text\n";
  expect(refusal({a}, "text.h5"), {"text.h5"});
  expect(refusal({folder_ / "text.h5"}), {"text.h5"});
  const auto b = write("b.h5", {.shard = 2});
  expect(refusal({a}, "b.h5"), {"b.h5: is there and was not written by merge"});
  EXPECT_FALSE(fs::exists(folder_ / "out.h5"));
  EXPECT_EQ(read_results(b).rows.size(), size_t{kSamples});
}

}  // namespace
}  // namespace kvbench
