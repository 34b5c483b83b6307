// A table of values: for people several grids with numbers cut and in handy units, for programs one
// grid of plain numbers.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "harness/report/grid.h"

namespace kvbench {

// A text or a number. An empty text or nan is nothing: "-" for people, an empty cell in CSV.
struct Value {
  // NOLINTBEGIN(google-explicit-constructor): rows are written as lists of plain values
  Value(std::string value) : text(std::move(value)) {}
  Value(const char* value) : text(value) {}
  Value(int64_t value) : text(fmt::format("{}", value)), number(static_cast<double>(value)) {}
  Value(double value) : text(std::isnan(value) ? "" : fmt::format("{}", value)), number(value) {}
  // NOLINTEND

  std::string text;     // a number's in full
  double number = NAN;  // of a number
};

// How people read a value.
enum class Style {
  kText,      // one line, at most 60 bytes
  kNumber,    // as it is
  kScore,     // one decimal; milliseconds too
  kFine,      // three decimals
  kSigned,    // one decimal, with its sign
  kPercent,   // of a share
  kMebibytes  // of bytes
};

struct Column {
  std::string title;  // for people; empty = for programs only
  std::string name;   // in CSV, its unit included; empty = for people only
  Style style = Style::kText;
  bool optional = false;  // not shown where no row has anything, or only 0
};

struct Table {
  struct Section {
    std::string title;
    std::vector<std::vector<Value>> rows;  // each as long as `columns`
  };
  std::vector<Column> columns;
  std::vector<Section> sections;

  std::vector<Grid> for_people() const;  // one a section that has rows
  Grid for_programs() const;
};

// One row of a table, whose values are asked for by their columns' names for programs; an unknown
// name is an error of ours. The table must outlive it.
class TableRow {
 public:
  TableRow(const Table& table, const std::vector<Value>& values)
      : table_(&table), values_(&values) {}

  const std::string& text(const std::string& column) const { return at(column).text; }
  double number(const std::string& column) const { return at(column).number; }

 private:
  const Value& at(const std::string& column) const;

  const Table* table_;
  const std::vector<Value>* values_;
};
std::vector<TableRow> rows_of(const Table& table);

std::string shown(const Value& value, Style style);

// The text without line breaks, at most `most` bytes, cut between characters.
std::string one_line(std::string text, size_t most);

// A column for programs and its value for every field of a row struct (results/rows.h).
template <class Row>
std::vector<Column> data_columns() {
  std::vector<Column> columns;
  Row row;
  visit_columns(row, [&](const char* name, const auto&) { columns.push_back({"", name}); });
  return columns;
}
template <class Row>
std::vector<Value> data_values(const Row& row) {
  std::vector<Value> values;
  visit_columns(row, [&](const char*, const auto& value) { values.emplace_back(value); });
  return values;
}

}  // namespace kvbench
