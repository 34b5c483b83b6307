// Tables of results.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "harness/report/grid.h"
#include "harness/results/rows.h"

namespace kvbench {

// A derived cell and the model that it was measured with.
struct ModelCell {
  std::string model;
  CellRow cell;
};

// One line per cell, in the order given; cells without a row are left out. The model, the error
// count and the times have columns only where they say something.
Grid cell_table(const std::vector<ModelCell>& cells);

// One table per (model, compress, max_length): a line per policy and ratio, a column per task, and
// the average over the tasks ("-" unless every task is there) with its distance from the full
// cache's.
std::vector<Grid> summary_tables(const std::vector<ModelCell>& cells);

// One line per policy, ratio and context length of the isolated measurements: medians over repeats.
Grid latency_table(const std::vector<LatencyRow>& rows);

// The same lines with the KV cache's bytes by all three counts, and their peak while prefilling.
Grid memory_table(const std::vector<LatencyRow>& rows);

// One line per sample: what was said and how it was graded.
Grid sample_table(const std::vector<SampleRow>& rows);

// Every column of the rows in full precision; nan is an empty text.
template <class Row>
Grid full_table(const std::vector<Row>& rows) {
  Grid grid;
  Row names;
  visit_columns(names, [&](const char* name, const auto&) {
    grid.columns.push_back({name, true});
  });
  for (const Row& row : rows) {
    std::vector<std::string> cells;
    visit_columns(row, [&](const char*, const auto& value) {
      std::string text = fmt::format("{}", value);
      cells.push_back(text == "nan" && !std::is_same_v<std::decay_t<decltype(value)>, std::string>
                          ? ""
                          : std::move(text));
    });
    grid.rows.push_back(std::move(cells));
  }
  return grid;
}

}  // namespace kvbench
