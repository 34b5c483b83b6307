#include "harness/results/store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "harness/base/files.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

template <class F>
std::string input_error(F&& work) {
  try {
    work();
  } catch (const InputError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

ResultsStore open(const fs::path& path, const StoreOptions& options = {},
                  RunInfo info = test_run::info()) {
  return ResultsStore(path, std::move(info), test_run::plan(2), test_run::kLayers, test_run::kHeads,
                      options);
}

constexpr StoreOptions kFresh{.fresh = true};

TEST(Store, EverythingIsThereFromTheStart) {
  const test_run::Folder folder;
  const auto path = folder / "deep/er/run.h5";
  const auto store = open(path);
  const h5::File file(path, h5::Mode::kRead);  // beside the writer
  EXPECT_EQ(h5::list(file),
            (std::vector<std::string>{"budgets", "cells", "latency", "plan", "samples", "texts"}));
  EXPECT_EQ(h5::dims(file, "/budgets/c1"), (std::vector<int64_t>{2, 2, 3}));
  EXPECT_EQ(h5::read_array<int32_t>(file, "/budgets/c1").values, std::vector<int32_t>(12, -1));
  EXPECT_EQ(h5::dims(file, "/samples"), std::vector<int64_t>{0});
  EXPECT_EQ(AppendTable::capacity(file, "/samples"), 4);
  EXPECT_EQ(h5::dims(file, "/cells"), std::vector<int64_t>{2});
  EXPECT_EQ(h5::dims(file, "/plan"), std::vector<int64_t>{2});
  EXPECT_EQ(h5::read_attribute<int64_t>(file, "/", "complete"), 0);
  EXPECT_EQ(h5::read_attribute<int64_t>(file, "/", "threads"), 2);
}

TEST(Store, RowsAreSeenWhileTheRunGoesOn) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  auto store = open(path);
  for (int64_t i = 0; i < 4; ++i) {
    store.append(test_run::row(i), test_run::keep_counts(i));
    EXPECT_EQ(test_run::checked_rows(path), i + 1);
  }
  EXPECT_FALSE(read_results(path).state.complete);
  store.finish();
  const Results results = read_results(path);
  EXPECT_TRUE(results.state.complete);
  EXPECT_EQ(results.state.end_time.size(), 20u);
  EXPECT_EQ(results.cells.at(1).n, 2);
  EXPECT_EQ(results.cells.at(1).mean, (7.0 + 21.0) / 2);
  EXPECT_EQ(test_run::checked_rows(path), 4);
  EXPECT_FALSE(fs::exists(path.string() + ".tmp"));
}

TEST(Store, ResumeKnowsWhatIsDoneAndTriesFailuresAgain) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  SampleRow failed = test_run::row(1);
  failed.error = "out of memory";
  {
    auto store = open(path);
    store.append(test_run::row(0), test_run::keep_counts(0));
    store.append(failed, {});
  }
  EXPECT_FALSE(fs::exists(path.string() + ".lock"));
  RunInfo other_machine = test_run::info();
  other_machine.threads = 8;
  other_machine.config = "name: demo\nratios: [0.5]\n";
  {
    const auto store = open(path, {.keep_failed = true}, other_machine);
    EXPECT_TRUE(store.is_done(key_of(test_run::row(0))));
    EXPECT_TRUE(store.is_done(key_of(failed)));
    EXPECT_EQ(store.n_done(), 2);
  }
  EXPECT_EQ(read_results(path).rows.size(), 2u);
  {
    auto store = open(path, {}, other_machine);
    EXPECT_EQ(store.n_done(), 1);
    EXPECT_FALSE(store.is_done(key_of(failed)));
    for (int64_t i = 1; i < 4; ++i) store.append(test_run::row(i), test_run::keep_counts(i));
    store.finish();
  }
  EXPECT_EQ(test_run::checked_rows(path), 4);
  const Results results = read_results(path);
  EXPECT_EQ(results.info.threads, 2);
  EXPECT_EQ(results.info.config, other_machine.config);
  EXPECT_TRUE(contains(results.state.sessions, " threads=8\n")) << results.state.sessions;
}

TEST(Store, ACompleteFileIsLeftAsItIs) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  test_run::work(path, 2);
  const auto written = fs::last_write_time(path);
  auto store = open(path);
  EXPECT_TRUE(store.complete());
  EXPECT_EQ(store.n_done(), 4);
  store.finish();
  EXPECT_EQ(fs::last_write_time(path), written);
}

// A finished file grows by samples; what is there stays, and the end is that of one run.
TEST(Store, MoreSamplesExtendAFinishedFile) {
  const test_run::Folder folder;
  test_run::work(folder / "whole.h5", 5);
  test_run::work(folder / "run.h5", 2);
  test_run::work(folder / "run.h5", 5);
  EXPECT_EQ(test_run::checked_rows(folder / "run.h5"), 10);
  const Results run = read_results(folder / "run.h5"), whole = read_results(folder / "whole.h5");
  EXPECT_TRUE(run.state.complete);
  for (size_t i = 0; i < whole.cells.size(); ++i) {
    EXPECT_EQ(run.cells[i].n_planned, 5);
    EXPECT_EQ(run.cells[i].mean, whole.cells[i].mean);
    EXPECT_EQ(run.cells[i].ci_low, whole.cells[i].ci_low);
  }
  // Fewer samples than there are: nothing to do, nothing lost.
  test_run::work(folder / "run.h5", 3);
  EXPECT_EQ(test_run::checked_rows(folder / "run.h5"), 10);
}

// Cells come in any order and leave the plan again; rows end in the order of the latest plan.
TEST(Store, OtherCellsExtendAFinishedFile) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  const auto all = test_run::cells();
  const auto work = [&](const std::vector<Cell>& cells) {
    ResultsStore store(path, test_run::info(), test_run::plan(3, cells), test_run::kLayers,
                       test_run::kHeads);
    for (int64_t i = 0; i < 6; ++i) {
      const SampleRow row = test_run::row(i);
      const bool is_asked = std::any_of(cells.begin(), cells.end(),
                                        [&](const Cell& c) { return c.cell_id == row.cell_id; });
      if (is_asked && !store.is_done(key_of(row))) store.append(row, test_run::keep_counts(i));
    }
    store.finish();
  };
  work({all[1]});
  EXPECT_EQ(read_results(path).rows.size(), 3u);
  work({all[0]});  // the other cell is not asked for now: its rows stay
  EXPECT_EQ(read_results(path).rows.size(), 6u);
  EXPECT_EQ(read_results(path).cells.at(1).n_planned, 3);
  {
    // A finished file is not put into another order for nothing.
    const auto written = fs::last_write_time(path);
    work(all);
    EXPECT_EQ(fs::last_write_time(path), written);
  }
  fs::remove(path);
  work({all[0]});
  work(all);
  EXPECT_EQ(test_run::checked_rows(path), 6);
}

TEST(Store, RowsWithoutFidelityAreDoneAgainWhenItIsAskedFor) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  test_run::work(path, 2);
  {
    auto store = open(path, {.fidelity = true});
    EXPECT_EQ(store.n_done(), 0);
    SampleRow again = test_run::row(2);
    again.kl_full = 0.25;
    store.append(again, test_run::keep_counts(7));
    EXPECT_EQ(read_results(path).rows.size(), 4u) << "nothing is lost meanwhile";
    SampleRow failed = test_run::row(0);
    failed.error = "out of memory";
    store.append(failed, {});
    for (const int64_t i : {1, 3}) {
      again = test_run::row(i);
      again.kl_full = 0.5;
      store.append(again, test_run::keep_counts(i));
    }
    store.finish();
  }
  const Results results = read_results(path);
  ASSERT_EQ(results.rows.size(), 4u);
  EXPECT_EQ(results.rows[2].kl_full, 0.25);
  EXPECT_EQ(read_keep_counts(results)[2], test_run::keep_counts(7));
  EXPECT_EQ(results.rows[0].error, "") << "a failure does not replace what was measured";
  EXPECT_EQ(read_keep_counts(results)[0], test_run::keep_counts(0));
}

TEST(Store, AnotherIdentityIsRefusedNamingIt) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  { const auto store = open(path); }
  RunInfo other = test_run::info();
  other.end_tokens = "[2, 5]";
  EXPECT_EQ(input_error([&] { open(path, {}, other); }),
            path.string() +
                ": holds another run: end tokens is [2] in the file, [2, 5] now; choose "
                "another --output, or --fresh to set the file aside");
  other = test_run::info();
  other.model_hash = "m2";
  EXPECT_TRUE(contains(input_error([&] { open(path, {}, other); }), "weights or config.json"));
}

TEST(Store, ChangedDataAreRefusedNamingTheSample) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  test_run::work(path, 2);
  const auto refused = [&](std::vector<PlannedGroup> plan) {
    return input_error(
        [&] { ResultsStore(path, test_run::info(), plan, test_run::kLayers, test_run::kHeads); });
  };
  auto plan = test_run::plan(3);
  plan[0].sample = [](int64_t id) {
    return PlannedSample{id == 1 ? "edited" : fmt::format("s{}", id), test_run::references(id)};
  };
  EXPECT_TRUE(contains(refused(plan),
                       "holds other data: sample 1 of ruler/vt (generated) has "
                       "another prompt than when the file was made; choose"));
  plan = test_run::plan(3);
  plan[0].sample = [](int64_t id) { return PlannedSample{fmt::format("s{}", id), "[\"9\"]"}; };
  EXPECT_TRUE(contains(refused(plan), "sample 0 of ruler/vt (generated) has other references"));
}

TEST(Store, FreshSetsTheOldFileAside) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    auto store = open(path);
    store.append(test_run::row(0), {});
  }
  EXPECT_TRUE(open(path, kFresh).n_done() == 0);
  EXPECT_TRUE(open(path, kFresh).n_done() == 0);  // within the same second
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(path.parent_path())) {
    kept += contains(entry.path().filename().string(), "run.h5.bak-");
  }
  EXPECT_EQ(kept, 2);
}

TEST(Store, ASecondWriterIsRefused) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  const auto first = open(path);
  const std::string text = input_error([&] { open(path); });
  EXPECT_TRUE(contains(text, "another run (process ")) << text;
  EXPECT_TRUE(contains(input_error([&] { open(path, kFresh); }), "another run"));
}

TEST(Store, ADamagedFileIsReportedAndKept) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  test_run::work(path, 2);
  fs::resize_file(path, fs::file_size(path) / 2);
  const auto size = fs::file_size(path);
  const std::string text = input_error([&] { open(path); });
  EXPECT_TRUE(contains(text, "run.h5: ")) << text;
  EXPECT_TRUE(contains(text, "truncated file")) << text;
  EXPECT_TRUE(contains(text, "left as it is")) << text;
  EXPECT_EQ(fs::file_size(path), size);
  { const h5::File other(folder / "other.h5", h5::Mode::kCreate); }
  EXPECT_TRUE(contains(input_error([&] { open(folder / "other.h5"); }), "not a results file"));
}

// A machine that lost its power may leave a row count before the rows.
TEST(Store, BlankRowsAreRunAgain) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    auto store = open(path);
    for (int64_t i = 0; i < 3; ++i) store.append(test_run::row(i), test_run::keep_counts(i));
  }
  {
    const h5::File file(path, h5::Mode::kAppend);
    AppendTable samples(file, "/samples");
    const Layout layout = Layout::of<SampleRow>(Layout::stored_widths(file, "/samples"));
    samples.append(std::vector<char>(layout.row_bytes()));
  }
  EXPECT_EQ(read_results(path).lost_rows, 1);
  test_run::work(path, 2);
  EXPECT_EQ(test_run::checked_rows(path), 4);
  EXPECT_TRUE(contains(read_results(path).state.sessions, " lost_rows=1\n"));
}

TEST(Store, UnwritablePlacesAreNamed) {
  const test_run::Folder folder;
  std::ofstream(folder / "notes.txt") << "notes";
  const auto check = [](const fs::path& path) {
    return input_error([&] { check_writable(path); });
  };
  EXPECT_TRUE(contains(check(folder / "notes.txt/run.h5"), "cannot be created"));
  EXPECT_TRUE(contains(check(folder / "notes.txt"), "exists and is not an HDF5 file"));
  fs::create_directory(folder / "run.h5");
  EXPECT_TRUE(contains(check(folder / "run.h5"), "is a folder"));
  EXPECT_TRUE(contains(check("/proc/run.h5"), "cannot be written")) << check("/proc/run.h5");
  EXPECT_EQ(check(folder / "new/run.h5"), "nothing was thrown");
}

// AppendTable refuses to make a table whose header a kill could tear; no size may lead there.
TEST(Store, FilesOfEverySizeCanBeMade) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  for (int64_t n = 1; n < 60; ++n) {
    Results content;
    content.file = path;
    Room room{n % 3 + 1, n % 5 + 1, {}};
    content.cells.resize(static_cast<size_t>(n));
    for (size_t i = 0; i < content.cells.size(); ++i) {
      content.cells[i].cell_id = fmt::format("c{}", i);
      content.cells[i].n_planned = n % 7 + 1;
      room.open_rows[content.cells[i].cell_id] = n % 7 + 1;
    }
    content.info.config.assign(static_cast<size_t>(n * 997), 'x');
    content.latency.resize(static_cast<size_t>(n * n % 50));
    for (LatencyRow& row : content.latency) row.policy = "snapkv";
    const Widths widths = {{"prediction", static_cast<size_t>(n * n * 7)}};
    ASSERT_NO_THROW(write_results(content, {}, widths, room)) << n;
    const Results read = read_results(path);
    ASSERT_EQ(read.latency.size(), content.latency.size());
    ASSERT_EQ(AppendTable::capacity(h5::File(path, h5::Mode::kRead), "/samples"),
              content.planned_rows());
  }
}

TEST(Store, ARowOfAnotherRunIsABug) {
  const test_run::Folder folder;
  auto store = open(folder / "run.h5");
  store.append(test_run::row(0), {});
  EXPECT_THROW(store.append(test_run::row(0), {}), std::logic_error);
  SampleRow stranger = test_run::row(1);
  stranger.cell_id = "c9";
  EXPECT_THROW(store.append(stranger, {}), std::logic_error);
  EXPECT_THROW(store.append(test_run::row(1), std::vector<int32_t>(5)), std::logic_error);
  EXPECT_THROW(store.finish(), std::logic_error);
}

// A file of the first schema stays readable; what it never held reads as 0.
TEST(Store, ReadsFilesOfSchemaVersion1) {
  const Results old =
      read_results(fs::path(KVBENCH_TEST_ROOT) / "harness/results/testdata/schema_v1.h5");
  ASSERT_EQ(old.state.schema_version, 1);
  ASSERT_EQ(old.rows.size(), 210u);
  EXPECT_EQ(old.rows[0].kv_bytes_end, 0);
  EXPECT_GT(old.rows[0].kv_bytes_allocated, 0);
  EXPECT_TRUE(std::isnan(old.rows[0].attended_mean));
}

}  // namespace
}  // namespace kvbench
