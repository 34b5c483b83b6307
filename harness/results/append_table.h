// A dataset of records that grows row by row and is whole after a kill at any moment.
//
// HDF5 has no journal: a kill inside a flush that writes several pieces of metadata tears the
// file. So an append here is two writes, and the second one commits:
//   1. the record, into space that was reserved in the file when the table was created;
//   2. the object header with the new number of rows, one write inside one page of the file.
// What makes it so (each was seen to be needed, see results/README.md): chunks reserved for all
// rows and found by address arithmetic instead of an index (HDF5's "implicit" index: fixed maximum
// size, early allocation, new file format for this dataset only), no chunk cache, no times
// tracked, header aligned to a page.
#pragma once

#include <span>
#include <string>

#include "harness/base/hdf5.h"
#include "harness/results/layout.h"

namespace kvbench {

class AppendTable {
 public:
  // To be called before anything else is put into a new file (see results_file.cpp). Creates the
  // dataset with room for `capacity` rows (at least one), holding `records`.
  static void create(const h5::File& file, const std::string& name, const Layout& layout,
                     int64_t capacity, std::span<const char> records = {});

  AppendTable() = default;
  // `file`, opened for appending, must outlive the table.
  AppendTable(const h5::File& file, const std::string& name);

  int64_t size() const { return size_; }
  // Adds one record of the stored layout and commits it. When it throws (a full disk), the rows
  // before are as they were.
  void append(std::span<const char> record);

  // The number of rows that the table has room for.
  static int64_t capacity(const h5::File& file, const std::string& name);

 private:
  void write(std::span<const char> record);

  const h5::File* file_ = nullptr;
  std::string name_;
  h5::Id dataset_, type_;
  int64_t size_ = 0;
};

}  // namespace kvbench
