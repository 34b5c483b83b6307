#include "harness/report/cell_table.h"

#include <algorithm>

namespace kvbench {
namespace {

// Columns of the block that the rows themselves do not have, then those of the rows.
template <class Row>
class DataTable {
 public:
  DataTable() {
    const auto own = data_columns<Row>();
    const auto blocks = block_columns();
    for (size_t i = 0; i < blocks.size(); ++i) {
      const auto same = [&](const Column& column) { return column.name == blocks[i].name; };
      if (std::any_of(own.begin(), own.end(), same)) continue;
      from_block_.push_back(i);
      table_.columns.push_back(blocks[i]);
    }
    table_.columns.insert(table_.columns.end(), own.begin(), own.end());
    table_.sections.emplace_back();
  }

  void add(const Block& block, const Row& row) {
    auto& values = table_.sections[0].rows.emplace_back();
    for (const size_t i : from_block_) values.push_back(block.values[i]);
    const auto own = data_values(row);
    values.insert(values.end(), own.begin(), own.end());
  }

  Table take() { return std::move(table_); }

 private:
  Table table_;
  std::vector<size_t> from_block_;
};

}  // namespace

Table cell_table(const std::vector<Block>& blocks) {
  Table table;
  table.columns = {{"task", "", Style::kText},
                   {"policy", "", Style::kText},
                   {"ratio", "", Style::kNumber},
                   {"score", "", Style::kScore},
                   {"low", "", Style::kScore},
                   {"high", "", Style::kScore},
                   {"exact", "", Style::kScore, true},
                   {"n", "", Style::kNumber},
                   {"contexts", "", Style::kNumber},
                   {"failed", "", Style::kNumber, true},
                   {"kept", "", Style::kPercent},
                   {"asked", "", Style::kPercent},
                   {"KV nominal", "", Style::kMebibytes},
                   {"logical", "", Style::kMebibytes},
                   {"allocated", "", Style::kMebibytes},
                   {"prefill ms", "", Style::kScore, true},
                   {"score ms", "", Style::kScore, true},
                   {"compact ms", "", Style::kScore, true},
                   {"decode ms", "", Style::kScore, true}};
  bool any_clustered = false;
  for (const Block& block : blocks) {
    auto& section = table.sections.emplace_back();
    section.title =
        "Cells, " + block.title +
        ": score (0 to 100) with 95 % interval, KV cache per sequence in MiB, median times";
    for (const Measured* measured : block.cells) {
      const CellRow& cell = measured->cell;
      any_clustered |= cell.n_contexts < cell.n;
      section.rows.push_back(
          {cell.task, cell.policy, cell.ratio, cell.mean, cell.ci_low, cell.ci_high, cell.exact,
           cell.n, cell.n_contexts, cell.n_errors, cell.kept_ratio, 1 - cell.ratio,
           (1 - cell.ratio) * cell.kv_bytes_full, cell.kv_bytes_logical, cell.kv_bytes_allocated,
           cell.prefill_ms, cell.score_ms, cell.compact_ms, cell.decode_ms});
    }
  }
  for (Column& column : table.columns) {
    if (column.title == "contexts" && !any_clustered) column.title = "";
  }
  return table;
}

Table cell_data(const std::vector<Block>& blocks) {
  DataTable<CellRow> table;
  for (const Block& block : blocks) {
    for (const Measured* measured : block.cells) table.add(block, measured->cell);
  }
  return table.take();
}

Table sample_table(const std::vector<Block>& blocks) {
  Table table;
  table.columns = {{"task", "", Style::kText},       {"policy", "", Style::kText},
                   {"ratio", "", Style::kNumber},    {"sample", "", Style::kNumber},
                   {"score", "", Style::kScore},     {"kept", "", Style::kPercent},
                   {"prediction", "", Style::kText}, {"references", "", Style::kText},
                   {"error", "", Style::kText, true}};
  for (const Block& block : blocks) {
    auto& section = table.sections.emplace_back();
    section.title = "Samples, " + block.title;
    for (const Measured* measured : block.cells) {
      for (const SampleRow& row : measured->rows) {
        section.rows.push_back({row.task, row.policy, row.ratio, row.sample_id, row.score,
                                row.kept_ratio, row.prediction, row.references, row.error});
      }
    }
  }
  return table;
}

Table sample_data(const std::vector<Block>& blocks) {
  DataTable<SampleRow> table;
  for (const Block& block : blocks) {
    for (const Measured* measured : block.cells) {
      for (const SampleRow& row : measured->rows) table.add(block, row);
    }
  }
  return table.take();
}

}  // namespace kvbench
