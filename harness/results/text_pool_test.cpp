// Long texts beside rows of a bounded width.
#include "harness/results/text_pool.h"

#include <gtest/gtest.h>

#include "harness/base/test_util.h"
#include "harness/results/test_run.h"

namespace kvbench {
namespace {

SampleRow row_of(const std::string& prediction, const std::string& references) {
  SampleRow row;
  row.prediction = prediction;
  row.references = references;
  return row;
}

TEST(TextPool, ATextIsKeptOnceAndAColumnHoldsItsBeginning) {
  TextPool pool;
  const std::string summary(5000, 's');
  std::string wide(TextPool::kColumn - 1, 'x');
  wide += "\u00e9 and more";  // the character does not fit
  SampleRow first = row_of("short", summary), second = row_of(wide, summary);
  std::string texts = pool.take(first);
  EXPECT_EQ(texts.size(), 8 + summary.size());
  texts += pool.take(second);
  EXPECT_EQ(texts.size(), 8 + summary.size() + 8 + wide.size());
  EXPECT_EQ(pool.size(), static_cast<int64_t>(texts.size()));
  EXPECT_EQ(first.prediction_at, -1);
  EXPECT_EQ(first.references_at, second.references_at);
  EXPECT_EQ(second.prediction, wide.substr(0, TextPool::kColumn - 1));
  EXPECT_EQ(first.references.size(), TextPool::kColumn);

  const test_run::Folder folder;
  {
    const h5::File file(folder / "a.h5", h5::Mode::kCreate);
    TextPool::create(file, texts, 0);
  }
  const h5::File file(folder / "a.h5", h5::Mode::kRead);
  EXPECT_EQ(TextPool::capacity(file), pool.size());
  std::vector<SampleRow> rows = {first, second};
  TextPool::restore(file, rows);
  EXPECT_EQ(rows[0].references, summary);
  EXPECT_EQ(rows[1].prediction, wide);
}

TEST(TextPool, PlacesOutsideAreRefused) {
  const test_run::Folder folder;
  {
    const h5::File file(folder / "a.h5", h5::Mode::kCreate);
    TextPool::create(file, std::string(7, '\xff') + std::string(13, 'a'), 0);
  }
  const h5::File file(folder / "a.h5", h5::Mode::kRead);
  for (const int64_t at : {0, 13, 19, 20, 1 << 30}) {
    std::vector<SampleRow> rows(1);
    rows[0].prediction_at = at;
    EXPECT_THROW(TextPool::restore(file, rows), std::runtime_error) << at;
  }
}

// Rows of a run with long answers are no wider than a column, however the file grows.
TEST(TextPool, LongTextsDoNotWidenRows) {
  const test_run::Folder folder;
  const auto path = folder / "run.h5";
  test_run::work(path, 4);
  const h5::File file(path, h5::Mode::kRead);
  for (const auto& [column, width] : Layout::stored_widths(file, "/samples")) {
    EXPECT_LE(width, TextPool::kColumn) << column;
  }
  EXPECT_GT(TextPool::capacity(file), 3000);
  size_t longest = 0;
  for (const SampleRow& row : read_results(path).rows) {
    longest = std::max(longest, row.prediction.size());
  }
  EXPECT_GT(longest, 3000u);
}

}  // namespace
}  // namespace kvbench
