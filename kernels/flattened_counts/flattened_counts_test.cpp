#include "kernels/flattened_counts/flattened_counts.h"

#include "kernels/common/test_device.h"

namespace kvbench {
namespace {

std::vector<int32_t> run(const std::vector<float>& scores, int64_t n_rows, int64_t total,
                         int64_t safe, bool reference) {
  FlattenedCounts op;
  op.n_rows = n_rows;
  op.n_columns = std::ssize(scores) / n_rows;
  op.total = total;
  op.safe = safe;
  if (reference) {
    std::vector<int32_t> counts(n_rows);
    op.scores = scores.data();
    op.counts = counts.data();
    flattened_counts_reference(op);
    return counts;
  }
  TestArray in(scores);
  TestArray<int32_t> counts(n_rows);
  TestArray<uint8_t> workspace(kTestsCuda ? flattened_counts_workspace_bytes(op) : 1);
  op.scores = in.data();
  op.counts = counts.data();
  op.workspace = workspace.data();
  [&] { KVB_RUN(flattened_counts, op); }();
  return counts.read();
}

TEST(FlattenedCounts, HandWorked) {
  // The three best are 9, 8 and one 4: ties go to the lower row.
  EXPECT_EQ(run({9, 4, 1, 4, 8, 0}, 2, 3, 0, false), (std::vector<int32_t>{2, 1}));
  // One of each row is safe, so that row 1's 0 stays and 7 goes.
  EXPECT_EQ(run({9, 8, 7, 0, -1, -2}, 2, 3, 1, false), (std::vector<int32_t>{2, 1}));
}

TEST(FlattenedCounts, EqualsTheReference) {
  for (const auto& [n_rows, n_columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {3, 31}, {4, 65}, {7, 600}}) {
    std::vector<float> scores = random_values(n_rows * n_columns, n_columns);
    for (const bool tied : {false, true}) {
      if (tied) {
        for (float& x : scores) x = std::round(x);  // a few values, zeros of both signs
      }
      for (const int64_t safe : {int64_t{0}, int64_t{1}, n_columns / 4, n_columns}) {
        for (const int64_t total :
             {n_rows * safe, n_rows * (safe + n_columns) / 2,
              std::min(n_rows * safe + 1, n_rows * n_columns), n_rows * n_columns}) {
          EXPECT_EQ(run(scores, n_rows, total, safe, false), run(scores, n_rows, total, safe, true))
              << n_rows << " x " << n_columns << ", total " << total << ", safe " << safe;
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvbench
