// For tests: the records of a file, read as a task reads them.
#pragma once

#include <filesystem>
#include <vector>

#include "tasks/file_source.h"
#include "tasks/ruler/ruler_file.h"

namespace kvbench {

// The first `limit` records, 0 = all.
inline std::vector<RulerRecord> read_ruler_file(const std::filesystem::path& file,
                                                int64_t limit = 0) {
  std::vector<RulerRecord> records;
  const FileSource source(file, limit, {}, [&](const JsonView& fields, int64_t line) {
    records.push_back(read_ruler_record(fields, line));
    return Sample();
  });
  return records;
}

}  // namespace kvbench
