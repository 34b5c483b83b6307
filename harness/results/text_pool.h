// Long texts of a results file. A text column of /samples is at most kColumn bytes wide, so that
// one long text does not widen every row; what is longer stands in /texts, each text once.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "harness/base/hdf5.h"
#include "harness/results/rows.h"

namespace kvbench {

class TextPool {
 public:
  static constexpr size_t kColumn = 1024;

  // Cuts every text of the row that is too long to what its column holds, and sets where the whole
  // of it stands. Returns the bytes that /texts then has behind the size() before.
  std::string take(SampleRow& row);
  // The most bytes that take() can return for the row.
  static int64_t most_bytes(const SampleRow& row);
  // Bytes of all texts taken so far.
  int64_t size() const { return size_; }

  // Creates /texts with room for `capacity` bytes (at least those of `texts`).
  static void create(const h5::File& file, std::string_view texts, int64_t capacity);
  // Of /texts; 0 where a file has none.
  static int64_t capacity(const h5::File& file);
  // Writes `bytes` at `at`, within the capacity. A row that says where they are commits them.
  static void write(const h5::File& file, int64_t at, std::string_view bytes);
  // Gives the rows of a file back their whole texts. Throws std::runtime_error for places outside
  // of /texts.
  static void restore(const h5::File& file, std::vector<SampleRow>& rows);

 private:
  int64_t place(std::string_view text, std::string& added);

  std::map<std::string, int64_t> places_;  // by the text's hash
  int64_t size_ = 0;
};

}  // namespace kvbench
