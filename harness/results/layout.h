// How a row struct lies in an HDF5 compound record: packed, texts at a fixed width in bytes.
//
// Texts are fixed-width because HDF5 keeps variable-length ones in a heap that grows while rows
// are appended, and a process killed between its writes leaves rows whose text is unreadable.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/base/hdf5.h"
#include "harness/results/rows.h"

namespace kvbench {

// Bytes of each text column. A column that is not named gets 1.
using Widths = std::map<std::string, size_t>;

// Widens `widths` to hold `row`, of a text at most `most` bytes. Returns false when they already
// did.
template <class Row>
bool widen(const Row& row, Widths& widths, size_t most = std::numeric_limits<size_t>::max()) {
  bool wider = false;
  visit_columns(row, [&](const char* name, const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
      size_t& width = widths.try_emplace(name, 1).first->second;
      if (std::min(value.size(), most) > width) {
        width = std::min(value.size(), most);
        wider = true;
      }
    }
  });
  return wider;
}

class Layout {
 public:
  enum class Kind { kText, kInt64, kDouble };
  struct Field {
    std::string name;
    Kind kind;
    size_t offset, bytes;
  };

  template <class Row>
  static Layout of(const Widths& widths) {
    Layout layout;
    Row row;
    visit_columns(row, [&](const char* name, auto& value) {
      using T = std::decay_t<decltype(value)>;
      if constexpr (std::is_same_v<T, std::string>) {
        const auto width = widths.find(name);
        layout.add(name, Kind::kText, width == widths.end() ? 1 : width->second);
      } else {
        layout.add(name, std::is_same_v<T, double> ? Kind::kDouble : Kind::kInt64, sizeof(T));
      }
    });
    return layout;
  }

  // Text widths of a stored dataset. Throws when a text column of it is not fixed-width.
  static Widths stored_widths(const h5::File& file, const std::string& dataset);

  size_t row_bytes() const { return row_bytes_; }
  const std::vector<Field>& fields() const { return fields_; }
  h5::Id type() const;  // the HDF5 compound type

  // `record` holds row_bytes(); every text of `row` must fit its width.
  template <class Row>
  void pack(const Row& row, std::span<char> record) const {
    std::fill(record.begin(), record.end(), '\0');
    auto field = fields_.begin();
    visit_columns(row, [&](const char*, const auto& value) {
      char* to = record.data() + field->offset;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
        KVB_CHECK(value.size() <= field->bytes, "{}: {} bytes do not fit {}", field->name,
                  value.size(), field->bytes);
        std::copy(value.begin(), value.end(), to);
      } else {
        std::memcpy(to, &value, sizeof(value));
      }
      ++field;
    });
  }

  template <class Row>
  void unpack(std::span<const char> record, Row& row) const {
    auto field = fields_.begin();
    visit_columns(row, [&](const char*, auto& value) {
      const char* from = record.data() + field->offset;
      if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) {
        size_t length = field->bytes;
        while (length > 0 && from[length - 1] == '\0') --length;  // as numpy reads them
        value.assign(from, length);
      } else {
        std::memcpy(&value, from, sizeof(value));
      }
      ++field;
    });
  }

 private:
  void add(const std::string& name, Kind kind, size_t bytes);

  std::vector<Field> fields_;
  size_t row_bytes_ = 0;
};

// The rows as records of `layout`, one behind the other.
template <class Row>
std::vector<char> pack_all(const std::vector<Row>& rows, const Layout& layout) {
  std::vector<char> records(rows.size() * layout.row_bytes());
  for (size_t i = 0; i < rows.size(); ++i) {
    layout.pack(rows[i], {records.data() + i * layout.row_bytes(), layout.row_bytes()});
  }
  return records;
}

// All rows of a dataset, columns found by name; other columns are ignored.
template <class Row>
std::vector<Row> read_rows(const h5::File& file, const std::string& dataset);

// Writes `rows` as a dataset that will not grow.
template <class Row>
void write_rows(const h5::File& file, const std::string& dataset, const std::vector<Row>& rows);

}  // namespace kvbench
