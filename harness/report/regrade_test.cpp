#include "harness/report/regrade.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/base/error.h"
#include "harness/report/test_results.h"

namespace kvbench {
namespace {

using namespace test_results;

// Two rows of a cell, whatever score the file says they have.
Results stored(const std::string& grading, const std::string& metric) {
  Results results = file("a.h5");
  CellRow of = cell("longbench/trec", "full", 0);
  of.grading = grading;
  of.metric = metric;
  add(results, of, {7, 7});
  results.rows[0].prediction = " \nDate \nmore";
  results.rows[1].prediction = "A date";
  for (SampleRow& row : results.rows) {
    row.references = R"(["Date"])";
    row.classes = R"(["Date", "Place"])";
  }
  return results;
}

TEST(Regrade, StoredRulesDecide) {
  Results results =
      stored(R"({"metric": "classification_score", "strip_start": true, "first_line": true,)"
             R"( "exact_too": true})",
             "classification_score");
  const Regraded done = regrade(results);
  EXPECT_EQ(done.n_rows, 2);
  EXPECT_EQ(done.n_changed, 2);
  EXPECT_EQ(results.rows[0].score, 100);
  EXPECT_EQ(results.rows[0].exact, 100);
  EXPECT_EQ(results.rows[1].score, 0);
  EXPECT_EQ(regrade(results).n_changed, 0);
}

TEST(Regrade, FilesOfSchema3NameTheMetricAlone) {
  Results results = stored("", "string_match_part");
  EXPECT_EQ(regrade(results).n_changed, 2);
  EXPECT_EQ(results.rows[1].score, 100);
  EXPECT_TRUE(std::isnan(results.rows[1].exact));
}

TEST(Regrade, WhatCannotBeGradedFailsAlone) {
  Results results = stored(R"({"metric": "retrieval_score"})", "retrieval_score");
  results.rows[1].references = R"(["Paragraph 2"])";
  regrade(results);
  EXPECT_TRUE(results.rows[0].error.starts_with("regrading: ")) << results.rows[0].error;
  EXPECT_TRUE(std::isnan(results.rows[0].score));
  EXPECT_EQ(results.rows[1].error, "");
}

TEST(Regrade, AFileWithoutMetricIsRefused) {
  Results results = stored("", "");
  EXPECT_THROW(regrade(results), InputError);
}

}  // namespace
}  // namespace kvbench
