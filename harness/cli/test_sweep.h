// For the tests of this folder: a sweep of seconds on a small random model, and its rows.
#pragma once

#include <map>
#include <string>

#include "harness/cli/test_process.h"
#include "harness/results/test_run.h"
#include "harness/sweep/test_model.h"

namespace kvbench::test_sweep {

// Everything of the rows but times, and their keep counts, by cell and sample.
using Rows = std::map<RowKey, std::string>;

inline Rows rows_of(const std::filesystem::path& file) {
  const Results results = read_results(file);
  EXPECT_EQ(results.lost_rows, 0);
  const auto keep_counts = read_keep_counts(results);
  Rows rows;
  for (size_t i = 0; i < results.rows.size(); ++i) {
    std::string text;
    visit_columns(results.rows[i], [&](const char* name, const auto& value) {
      // A place in /texts depends on what else came before.
      const std::string column = name;
      if (column.ends_with("_ms") || column.ends_with("_at")) return;
      text += fmt::format("{}={}\n", name, value);
    });
    for (const auto count : keep_counts[i]) text += fmt::format("{} ", count);
    EXPECT_TRUE(rows.emplace(key_of(results.rows[i]), text).second) << "a row is there twice";
  }
  return rows;
}

inline bool is_part_of(const Rows& part, const Rows& all) {
  return std::includes(all.begin(), all.end(), part.begin(), part.end());
}

// A folder with the model and sweep.yaml: `samples` contexts of 1024 tokens, three cells each.
class Folder : public test_run::Folder {
 public:
  explicit Folder(int samples) {
    test_model::write(*this / "model");
    test_process::write_bytes(*this / "sweep.yaml", fmt::format(R"(name: tiny
model: {{path: model}}
device: cpu
chat_template: false
tasks:
  - {{task: ruler/niah_single_1, lengths: [1024], samples: {}, max_new_tokens: 6}}
policies: [full, snapkv, keydiff]
ratios: [0.5]
output: out.h5
)",
                                                                samples));
  }
};

}  // namespace kvbench::test_sweep
