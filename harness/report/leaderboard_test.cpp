#include "harness/report/leaderboard.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using test_results::add;
using test_results::cell;

Leaderboard board_of(Results file) {
  std::vector<Results> files;
  files.push_back(std::move(file));
  const Joined joined = join(std::move(files));
  return leaderboard(joined, blocks_of(joined));
}

TEST(Leaderboard, HasAFolderForEachPolicyAndRatioOfRuler) {
  Results file = test_results::file("a.h5", "org/tiny");
  for (const char* task : {"ruler/niah_single_1", "ruler/vt"}) {
    add(file, cell(task, "full", 0), {100, 100, 100});
    add(file, cell(task, "snapkv", 0.875), {100, 100, task[6] == 'v' ? NAN : 0});
  }
  for (SampleRow& row : file.rows) {
    row.references = "[\"a\", \"b\"]";
    row.prediction = "x, y";
  }
  const Leaderboard board = board_of(file);
  ASSERT_EQ(board.folders.size(), 2u);
  EXPECT_EQ(board.folders[0].name, "ruler__1024__org--tiny__no_press__0.00");
  const LeaderboardFolder& folder = board.folders[1];
  EXPECT_EQ(folder.name, "ruler__1024__org--tiny__snapkv__0.88");
  EXPECT_EQ(folder.predictions,
            "task,answer,predicted_answer,compression_ratio\n"
            "niah_single_1,\"[\"\"a\"\", \"\"b\"\"]\",\"x, y\",0.875\n"
            "niah_single_1,\"[\"\"a\"\", \"\"b\"\"]\",\"x, y\",0.875\n"
            "niah_single_1,\"[\"\"a\"\", \"\"b\"\"]\",\"x, y\",0.875\n"
            "vt,\"[\"\"a\"\", \"\"b\"\"]\",\"x, y\",0.875\n"
            "vt,\"[\"\"a\"\", \"\"b\"\"]\",\"x, y\",0.875\n");
  const auto metrics = nlohmann::json::parse(folder.metrics);
  EXPECT_EQ(metrics["niah_single_1"]["string_match"], 66.67);
  EXPECT_EQ(metrics["vt"]["string_match"], 100);
  for (const char* line : {"data_dir: \"1024\"\n", "press_name: \"snapkv\"\n",
                           "compression_ratio: 0.875\n", "query_aware: false\n"}) {
    EXPECT_NE(folder.config.find(line), std::string::npos) << line;
  }
}

TEST(Leaderboard, HasAFolderForEachLongBenchSet) {
  Results file = test_results::file("a.h5");
  for (const char* task : {"longbench/trec", "longbench/qasper"}) {
    CellRow asked = cell(task, "snapkv", 0.5);
    asked.compress = "prompt";
    add(file, asked, {50, 0, 0});
  }
  const Leaderboard board = board_of(file);
  ASSERT_EQ(board.folders.size(), 2u);
  EXPECT_EQ(board.folders[0].name, "longbench__trec__tiny__snapkv__0.50__query_aware");
  EXPECT_EQ(board.folders[0].metrics, "16.67");
  EXPECT_TRUE(board.folders[0].predictions.starts_with(
      "task,answers,all_classes,length,predicted_answer,compression_ratio\ntrec,,,0,50,0.5\n"));
}

TEST(Leaderboard, SaysWhatItHasNoPlaceFor) {
  Results file = test_results::file("a.h5");
  add(file, cell("own/x", "snapkv", 0.5), {50});
  add(file, cell("longbench/trec_e", "snapkv", 0.5), {50});
  add(file, cell("ruler/vt", "bounded", NAN), {50});
  const Leaderboard board = board_of(file);
  EXPECT_TRUE(board.folders.empty());
  EXPECT_EQ(board.remarks.size(), 3u);
}

TEST(Leaderboard, TwoSeedsGetFoldersOfTheirOwn) {
  Results file = test_results::file("a.h5");
  CellRow seed = cell("ruler/vt", "snapkv", 0.5);
  add(file, seed, {50});
  seed.seed = 7;
  add(file, seed, {50});
  const Leaderboard board = board_of(file);
  ASSERT_EQ(board.folders.size(), 2u);
  EXPECT_EQ(board.folders[1].name, board.folders[0].name + "/1");
}

}  // namespace
}  // namespace kvbench
