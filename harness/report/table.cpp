#include "harness/report/table.h"

#include <algorithm>
#include <cmath>

#include "harness/base/error.h"
#include "harness/base/text.h"

namespace kvbench {
namespace {

bool says_something(const Value& value) { return !value.text.empty() && value.number != 0; }

}  // namespace

std::string one_line(std::string text, size_t most) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 32; }, ' ');
  if (text.size() <= most) return text;
  return text.substr(0, cut_before(text, most - 3)) + "...";
}

std::string shown(const Value& value, Style style) {
  constexpr size_t kLongestText = 60;
  if (value.text.empty()) return "-";
  const double number = value.number;
  if (std::isnan(number)) return one_line(value.text, kLongestText);
  switch (style) {
    case Style::kText:
    case Style::kNumber:
      return value.text;
    case Style::kScore:
      return fmt::format("{:.1f}", number);
    case Style::kFine:
      return fmt::format("{:.3f}", number);
    case Style::kSigned:
      return fmt::format("{:+.1f}", number);
    case Style::kPercent:
      return fmt::format("{:.1f} %", 100 * number);
    case Style::kMebibytes:
      return fmt::format("{:.2f}", number / (1024 * 1024));
  }
  return value.text;
}

std::vector<Grid> Table::for_people() const {
  std::vector<Grid> grids;
  for (const Section& section : sections) {
    if (section.rows.empty()) continue;
    Grid& grid = grids.emplace_back();
    grid.title = section.title;
    grid.rows.resize(section.rows.size());
    for (size_t i = 0; i < columns.size(); ++i) {
      const Column& column = columns[i];
      const auto speaks = [&](const auto& row) { return says_something(row[i]); };
      if (column.title.empty()) continue;
      if (column.optional && std::none_of(section.rows.begin(), section.rows.end(), speaks)) {
        continue;
      }
      grid.columns.push_back({column.title, column.style != Style::kText});
      for (size_t j = 0; j < section.rows.size(); ++j) {
        grid.rows[j].push_back(shown(section.rows[j][i], column.style));
      }
    }
  }
  return grids;
}

const Value& TableRow::at(const std::string& column) const {
  const auto is_it = [&](const Column& each) { return each.name == column; };
  const auto found = std::find_if(table_->columns.begin(), table_->columns.end(), is_it);
  KVB_CHECK(found != table_->columns.end(), "no column {}", column);
  return (*values_)[static_cast<size_t>(found - table_->columns.begin())];
}

std::vector<TableRow> rows_of(const Table& table) {
  std::vector<TableRow> rows;
  for (const auto& section : table.sections) {
    for (const auto& values : section.rows) rows.emplace_back(table, values);
  }
  return rows;
}

Grid Table::for_programs() const {
  Grid grid;
  for (const Column& column : columns) {
    if (!column.name.empty()) grid.columns.push_back({column.name, true});
  }
  for (const Section& section : sections) {
    for (const auto& row : section.rows) {
      auto& cells = grid.rows.emplace_back();
      for (size_t i = 0; i < columns.size(); ++i) {
        if (!columns[i].name.empty()) cells.push_back(row[i].text);
      }
    }
  }
  return grid;
}

}  // namespace kvbench
