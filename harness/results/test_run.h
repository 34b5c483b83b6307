// For tests: a small run whose every row is known.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "harness/base/test_util.h"
#include "harness/results/store.h"

namespace kvbench::test_run {

constexpr int64_t kLayers = 2, kHeads = 3;

inline RunInfo info() {
  RunInfo info;
  info.config = "name: demo\nratios: [0.5, 0.8]\noutput: a.h5\n";
  info.model = "tiny";
  info.model_hash = "m1";
  info.end_tokens = "[2]";
  info.dtype = "float32";
  info.data_hashes = "a.jsonl d1\n";
  info.device = "cpu";
  info.threads = 2;
  return info;
}

inline std::vector<Cell> cells() {
  Cell full;
  full.cell_id = "c0";
  full.group_id = "g";
  full.policy_id = "p0";
  full.task = "ruler/vt";
  full.source = "generated";
  full.seed = 42;
  full.max_length = 1024;
  full.protocol = "official";
  full.metric = "string_match_all";
  full.policy = "full";
  full.compress = "context";
  Cell snapkv = full;
  snapkv.cell_id = "c1";
  snapkv.policy_id = "p1";
  snapkv.policy = snapkv.scorer = "snapkv";
  snapkv.allocator = "uniform";
  snapkv.ratio = 0.5;
  return {full, snapkv};
}

inline std::string references(int64_t sample) { return fmt::format("[\"{}\"]", sample); }

inline std::vector<PlannedGroup> plan(int64_t samples, std::vector<Cell> of_cells = cells()) {
  PlannedGroup group{.cells = std::move(of_cells)};
  for (int64_t i = 0; i < samples; ++i) group.sample_ids.push_back(i);
  group.sample = [](int64_t id) { return PlannedSample{fmt::format("s{}", id), references(id)}; };
  return {group};
}

// Row i of the run: samples in turn, both cells of a sample together. Some predictions are long,
// so that the file must be widened on the way.
inline SampleRow row(int64_t i) {
  const Cell cell = cells()[static_cast<size_t>(i % 2)];
  SampleRow row;
  row.cell_id = cell.cell_id;
  row.sample_hash = fmt::format("s{}", i / 2);
  row.context_id = fmt::format("context{}", i / 2);
  row.task = cell.task;
  row.source = cell.source;
  row.seed = cell.seed;
  row.max_length = cell.max_length;
  row.protocol = cell.protocol;
  row.metric = cell.metric;
  row.policy = cell.policy;
  row.scorer = cell.scorer;
  row.allocator = cell.allocator;
  row.ratio = cell.ratio;
  row.compress = cell.compress;
  row.sample_id = i / 2;
  row.score = static_cast<double>(i * 7 % 101);
  for (int64_t j = 0; j < i * 37 % 50; ++j) row.prediction += "na\xc3\xafve ";
  if (i == 5) row.prediction.append(900, 'x');
  if (i % 4 == 3) row.prediction.append(3000, static_cast<char>('a' + i % 26));  // in /texts
  row.references = references(i / 2);
  row.context_tokens = 1000 + i;
  row.kept_ratio = 1 - cell.ratio;
  row.kv_bytes_full = 4096;
  row.path = "shared";
  row.decode_ms = 0.5 * static_cast<double>(i);
  return row;
}

inline std::vector<int32_t> keep_counts(int64_t i) {
  return std::vector<int32_t>(kLayers * kHeads, static_cast<int32_t>(i + 1));
}

inline std::string text(const SampleRow& row) {
  std::string all;
  visit_columns(row, [&](const char* name, const auto& value) {
    all += fmt::format("{}={}\n", name, value);
  });
  return all;
}

// Starts, resumes or extends the run at `path` and works until it is complete.
inline void work(const std::filesystem::path& path, int64_t samples) {
  ResultsStore store(path, info(), plan(samples), kLayers, kHeads);
  for (int64_t i = 0; i < 2 * samples; ++i) {
    const SampleRow next = row(i);
    if (!store.is_done(key_of(next))) store.append(next, keep_counts(i));
  }
  store.finish();
}

// The number of rows in the file; throws when one of them or its keep counts is wrong.
inline int64_t checked_rows(const std::filesystem::path& path) {
  const Results results = read_results(path);
  const h5::File file(path, h5::Mode::kRead);
  std::vector<h5::Array<int32_t>> budgets;
  for (const CellRow& cell : results.cells) {
    budgets.push_back(h5::read_array<int32_t>(file, "/budgets/" + cell.cell_id));
  }
  const auto count = static_cast<int64_t>(results.rows.size());
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    KVB_CHECK(text(results.rows[at]) == text(row(i)), "row {} is wrong", i);
    const auto& kept = budgets[at % 2].values;
    const auto start = kept.begin() + i / 2 * kLayers * kHeads;
    KVB_CHECK(std::equal(start, start + kLayers * kHeads, keep_counts(i).begin()),
              "keep counts of row {} are wrong", i);
  }
  KVB_CHECK(results.lost_rows == 0, "{} rows lost", results.lost_rows);
  return count;
}

// In memory where there is such a place: the tests wait for many fsyncs otherwise.
class Folder : public TemporaryFolder {
 public:
  Folder()
      : TemporaryFolder(access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                      : std::filesystem::temp_directory_path()) {}
};

// Rows of a results file whose run goes on: none where the file is not there yet, or where this
// look at it met a write.
inline size_t rows_by_now(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return 0;
  try {
    return read_results(file).rows.size();
  } catch (const std::runtime_error&) {
    return 0;
  }
}

}  // namespace kvbench::test_run
