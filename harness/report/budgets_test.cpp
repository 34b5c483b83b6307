#include "harness/report/budgets.h"

#include <gtest/gtest.h>

#include "harness/results/test_run.h"

namespace kvbench {
namespace {

TEST(HeadBudgets, AreMeansOverTheGradedRowsOfACell) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  {
    ResultsStore store(path, test_run::info(), test_run::plan(3), test_run::kLayers,
                       test_run::kHeads);
    // Of c1 the samples are rows 1, 3 and 5; the last one fails. Every head had 100 entries.
    for (int64_t i = 0; i < 6; ++i) {
      SampleRow row = test_run::row(i);
      row.kept_tokens = 100 * row.kept_ratio;
      if (i == 5) row.error = "no";
      const int32_t k = i == 1 ? 20 : 40;
      store.append(row,
                   i == 5 ? std::vector<int32_t>() : std::vector<int32_t>{k, 50, 50, 50, 50, 80});
    }
    store.finish();
  }
  const auto budgets = head_budgets(read_results(path));
  ASSERT_EQ(budgets.size(), 2u);
  const HeadBudgets& budget = budgets.at("c1");
  EXPECT_EQ(budget.n_layers, test_run::kLayers);
  EXPECT_EQ(budget.n_kv_heads, test_run::kHeads);
  ASSERT_EQ(budget.kept.size(), 6u);
  EXPECT_DOUBLE_EQ(budget.kept[0], 0.3);
  EXPECT_DOUBLE_EQ(budget.kept[1], 0.5);
  EXPECT_DOUBLE_EQ(budget.kept[5], 0.8);
}

TEST(HeadBudgets, MeanAndEvenness) {
  const HeadBudgets even{1, 2, {0.5, 0.504}}, uneven{1, 2, {0.5, 0.51}};
  EXPECT_TRUE(even.is_even());
  EXPECT_FALSE(uneven.is_even());
  const HeadBudgets mean = mean_budgets({&even, &uneven});
  EXPECT_DOUBLE_EQ(mean.kept[0], 0.5);
  EXPECT_DOUBLE_EQ(mean.kept[1], 0.507);
}

}  // namespace
}  // namespace kvbench
