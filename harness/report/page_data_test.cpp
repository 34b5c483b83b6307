#include "harness/report/page_data.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

using Json = nlohmann::json;

// A run of test_run whose snapkv keeps another share in its last head; with `needle` it says what
// it kept of that, and loses.
Json page_of(const test_run::Folder& folder, const std::string& needle = "") {
  const auto path = folder / "run.h5";
  ResultsStore store(path, test_run::info(), test_run::plan(4), test_run::kLayers,
                     test_run::kHeads);
  for (int64_t i = 0; i < 8; ++i) {
    SampleRow row = test_run::row(i);
    row.kept_tokens = 100 * row.kept_ratio;
    row.prompt_tail = "What <is> it?";
    if (i % 2 == 1 && !needle.empty()) {
      row.needle_kept = needle;
      row.score = static_cast<double>(i);  // less than the full cache, but for the first sample
    }
    const int32_t last = i % 2 == 0 ? 100 : 75;
    const int32_t rest = i % 2 == 0 ? 100 : 45;
    store.append(row, std::vector<int32_t>{rest, rest, rest, rest, rest, last});
  }
  store.finish();
  return Json::parse(page_data({path}, false));
}

TEST(PageData, HoldsWhatThePageShows) {
  const test_run::Folder folder;
  const Json page = page_of(folder);
  EXPECT_EQ(page["title"], "kvbench: run");
  EXPECT_EQ(page["answers"].size(), 1u);
  EXPECT_TRUE(page["warnings"].empty());
  // Two policies, for the task and the average; the choices are the averages.
  ASSERT_EQ(page["scores"].size(), 4u);
  ASSERT_EQ(page["choices"].size(), 2u);
  const Json& snapkv = page["choices"][1];
  EXPECT_EQ(snapkv["policy"], "snapkv");
  EXPECT_EQ(snapkv["ratio"], 0.5);
  EXPECT_EQ(page["blocks"][snapkv["block"].get<size_t>()]["title"],
            "length 1024, compress context");
  EXPECT_TRUE(snapkv["tpot_ms"].is_null());
  for (const Json& row : page["scores"]) {
    if (row["policy"] != "snapkv" || row["task"] != "average") continue;
    EXPECT_EQ(row["score"], snapkv["score"]);
    EXPECT_EQ(row["ci_low"], snapkv["ci_low"]);
  }
  ASSERT_EQ(page["budgets"].size(), 1u);
  EXPECT_EQ(page["budgets"][0]["policy"], "snapkv");
  EXPECT_EQ(page["budgets"][0]["kept"], Json({0.45, 0.45, 0.45, 0.45, 0.45, 0.75}));
  EXPECT_EQ(page["even_budgets"], Json({"full"}));
}

TEST(PageData, WorstSamplesSayWhereTheNeedleWas) {
  const test_run::Folder folder;
  const Json page = page_of(folder, "00ff33000000");
  ASSERT_EQ(page["worst"].size(), 3u);
  double loss = 101;
  for (const Json& sample : page["worst"]) {
    EXPECT_EQ(sample["policy"], "snapkv");
    EXPECT_EQ(sample["prompt_tail"], "What <is> it?");
    EXPECT_EQ(sample["needle"]["n_layers"], test_run::kLayers);
    EXPECT_EQ(sample["needle"]["n_kv_heads"], test_run::kHeads);
    EXPECT_EQ(sample["needle"]["kept"], Json({0.0, 1.0, 0.2, 0.0, 0.0, 0.0}));
    const double lost = sample["full_score"].get<double>() - sample["score"].get<double>();
    EXPECT_GT(lost, 0);
    EXPECT_LE(lost, loss);
    loss = lost;
  }
}

TEST(PageData, SamplesWithoutANeedleHaveNone) {
  const test_run::Folder folder;
  for (const Json& sample : page_of(folder)["worst"]) EXPECT_TRUE(sample["needle"].is_null());
}

TEST(PageData, RefusesAMapOfAnotherShape) {
  for (const char* text : {"00ff", "00ff3300000", "00ff330000zz", "00ff3300000000"}) {
    const test_run::Folder folder;
    try {
      page_of(folder, text);
      ADD_FAILURE() << text;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("two hex digits for each of 6 heads"),
                std::string::npos)
          << error.what();
    }
  }
}

TEST(PageData, TablesAreComplete) {
  const test_run::Folder folder;
  const Json page = page_of(folder);
  std::string titles;
  for (const Json& table : page["tables"]) {
    titles += table["title"].get<std::string>() + "\n";
    ASSERT_FALSE(table["rows"].empty());
    for (const Json& row : table["rows"]) EXPECT_EQ(row.size(), table["columns"].size());
  }
  for (const char* title : {"Mean score", "Scores,", "paired with full", "Cells,"}) {
    EXPECT_NE(titles.find(title), std::string::npos) << title << " in\n" << titles;
  }
}

}  // namespace
}  // namespace kvbench
