// A sweep on the real SmolLM2-135M-Instruct that is killed and run again.
#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "harness/cli/test_process.h"
#include "harness/golden/golden.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;
using namespace test_process;
using Words = std::vector<std::string>;

constexpr int64_t kLayers = 30, kHeads = 3;  // of the model
// More samples than are in work at once.
constexpr size_t kSamples = 10, kCells = 3;

// The shortest length that the task fits in, and short answers, to keep it quick.
std::string sweep_text() {
  return fmt::format(R"(name: resume
model: {{path: "{}", dtype: bfloat16}}
device: cpu
tasks:
  - {{task: ruler/niah_single_1, lengths: [384], samples: {}, max_new_tokens: 8}}
policies: [full, keydiff, snapkv]
ratios: [0.5]
output: a.h5
)",
                     golden::model_dir().string(), kSamples);
}

// What must not depend on kills, by cell and sample. Times may differ.
using Rows = std::map<std::pair<std::string, int64_t>,
                      std::tuple<std::string, double, double, int64_t, std::vector<int32_t>>>;

Rows rows_of(const fs::path& path) {
  const Results results = read_results(path);
  EXPECT_EQ(results.lost_rows, 0);
  const h5::File file(path, h5::Mode::kRead);
  std::map<std::string, size_t> rows_of_cell;
  Rows rows;
  for (const SampleRow& row : results.rows) {
    EXPECT_EQ(row.error, "");
    const auto budgets = h5::read_array<int32_t>(file, "/budgets/" + row.cell_id).values;
    const auto slot = budgets.begin() +
                      static_cast<std::ptrdiff_t>(rows_of_cell[row.cell_id]++) * kLayers * kHeads;
    const bool added =
        rows.try_emplace({row.cell_id, row.sample_id}, row.prediction, row.score, row.kept_tokens,
                         row.generated_tokens, std::vector<int32_t>(slot, slot + kLayers * kHeads))
            .second;
    EXPECT_TRUE(added) << "sample " << row.sample_id << " is there twice";
  }
  return rows;
}

bool is_part_of(const Rows& part, const Rows& all) {
  return std::includes(all.begin(), all.end(), part.begin(), part.end());
}

class ResumeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(golden::model_dir() / "model.safetensors")) {
      GTEST_SKIP() << golden::model_dir() << " is absent";
    }
    write_bytes(folder_ / "sweep.yaml", sweep_text());
  }

  Outcome run(const Words& more) {
    Words words = {"run", "sweep.yaml"};
    words.insert(words.end(), more.begin(), more.end());
    return kvbench(folder_ / "", words);
  }

  // Kills a run on `name` as soon as another process, this one, can read `n_rows` rows of it.
  void kill_at(const std::string& name, size_t n_rows) {
    Process process(folder_ / "", {"run", "sweep.yaml", "--output", name});
    while (process.running()) {
      if (fs::exists(folder_ / name) && test_run::rows_by_now(folder_ / name) >= n_rows) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    process.kill();
    EXPECT_EQ(process.wait().status, -SIGKILL);
  }

  test_run::Folder folder_;
};

TEST_F(ResumeTest, EndsWithTheRowsOfAnUninterruptedRun) {
  expect_done(run({}));
  const Rows expected = rows_of(folder_ / "a.h5");
  ASSERT_EQ(expected.size(), kSamples * kCells);
  EXPECT_TRUE(read_results(folder_ / "a.h5").state.complete);

  // Killed before the first sample is done, and twice while others are in work.
  size_t n_before = 0;
  for (const size_t n_rows : {size_t{0}, size_t{1}, kCells + 1}) {
    SCOPED_TRACE(n_rows);
    kill_at("b.h5", n_rows);
    const Rows so_far = rows_of(folder_ / "b.h5");
    EXPECT_GE(so_far.size(), n_rows);
    EXPECT_LT(so_far.size(), expected.size());
    EXPECT_GE(so_far.size(), n_before);
    EXPECT_TRUE(is_part_of(so_far, expected));
    EXPECT_FALSE(read_results(folder_ / "b.h5").state.complete);
    n_before = so_far.size();
  }
  expect_done(kvbench(folder_ / "", {"report", "b.h5"}));  // a half-finished run can be looked at
  expect_done(run({"--output", "b.h5"}));
  EXPECT_EQ(rows_of(folder_ / "b.h5"), expected);
  EXPECT_TRUE(read_results(folder_ / "b.h5").state.complete);

  write_bytes(folder_ / "t.ids", id_lines(0, 8));
  const std::string bytes = read_bytes(folder_ / "b.h5");
  const auto names = names_below(folder_ / "");
  expect_done(run({"--output", "b.h5"}));
  expect_refused(run({"--output", "b.h5", "--set", "model.dtype=float32"}),
                 {"b.h5: holds another run", "dtype is bfloat16", "float32 now", "--fresh"});
  expect_refused(kvbench(folder_ / "", {"inspect", "--model", tiny_model(), "--tokens", "t.ids",
                                        "--policy", "full", "--ratio", "0", "--output", "b.h5"}),
                 {"b.h5", "was not written by inspect"});
  EXPECT_EQ(read_bytes(folder_ / "b.h5"), bytes);
  EXPECT_EQ(names_below(folder_ / ""), names);

  // A run killed between the rows of a sample: the rest of the batch is decoded without the ones
  // that are there.
  Results part = read_results(folder_ / "a.h5");
  std::erase_if(part.rows, [&](const SampleRow& row) {
    return row.cell_id != part.cells[static_cast<size_t>(row.sample_id) % kCells].cell_id;
  });
  ASSERT_EQ(part.rows.size(), kSamples);
  part.state.complete = false;
  part.file = folder_ / "part.h5";
  Widths widths = initial_widths(part.cells);
  for (const SampleRow& row : part.rows) widen(row, widths);
  write_results(part, std::vector<std::vector<int32_t>>(kSamples), widths, {kLayers, kHeads, {}});
  expect_done(run({"--output", "part.h5"}));
  Rows mended = rows_of(folder_ / "part.h5");
  for (auto& [key, row] : mended) {  // the rows written here came without keep counts
    if (std::get<4>(row)[0] == -1) std::get<4>(row) = std::get<4>(expected.at(key));
  }
  EXPECT_EQ(mended, expected);
}

// A finished file grows while it is killed at random moments, and ends as one made at once.
TEST_F(ResumeTest, ExtensionsThatAreKilledEndAsTheWholeRun) {
  const Words small = {"--output",          "b.h5",  "--set",
                       "tasks.0.samples=1", "--set", "policies=[full]"};
  expect_done(run({}));
  const Rows expected = rows_of(folder_ / "a.h5");
  expect_done(run(small));
  const Rows first = rows_of(folder_ / "b.h5");
  EXPECT_EQ(first.size(), 1u);
  for (const size_t n_rows : {size_t{1}, size_t{2}, kCells + 1}) {
    SCOPED_TRACE(n_rows);
    kill_at("b.h5", n_rows);
    const Rows so_far = rows_of(folder_ / "b.h5");
    EXPECT_TRUE(is_part_of(first, so_far)) << "a finished row was lost";
    EXPECT_TRUE(is_part_of(so_far, expected));
  }
  expect_done(run({"--output", "b.h5"}));
  EXPECT_EQ(rows_of(folder_ / "b.h5"), expected);
  EXPECT_TRUE(read_results(folder_ / "b.h5").state.complete);
}

TEST_F(ResumeTest, FreshSetsTheFileAside) {
  const Words small = {"--set", "tasks.0.samples=1", "--set", "tasks.0.max_new_tokens=1"};
  expect_done(run(small));
  const std::string bytes = read_bytes(folder_ / "a.h5");
  Words fresh = small;
  fresh.insert(fresh.end(), {"--fresh", "--set", "policies=[full]"});
  expect_done(run(fresh));
  EXPECT_EQ(rows_of(folder_ / "a.h5").size(), 1u);
  int n_set_aside = 0;
  for (const auto& name : names_below(folder_ / "")) {
    if (name.find("a.h5.bak-") == std::string::npos) continue;
    ++n_set_aside;
    EXPECT_EQ(read_bytes(name), bytes);
  }
  EXPECT_EQ(n_set_aside, 1);
}

TEST_F(ResumeTest, TooLongContextIsFoundBeforeLoading) {
  const auto names = names_below(folder_ / "");
  const auto start = std::chrono::steady_clock::now();
  expect_refused(run({"--set", "tasks.0.lengths=[16384]"}),
                 {"ruler/niah_single_1", "the model's 8192 positions"});
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_EQ(names_below(folder_ / ""), names);
}

}  // namespace
}  // namespace kvbench
