#include "harness/results/results_file.h"

#include <algorithm>
#include <map>
#include <set>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/results/append_table.h"

namespace kvbench {
namespace {

using h5::Id;

constexpr int32_t kNotKept = -1;  // in /budgets: not finished yet, or failed

// /budgets/<cell_id> [rows and rows to come, L, H]: entry i belongs to the cell's i-th row.
void write_budgets(const h5::File& file, const Results& content,
                   const std::vector<std::vector<int32_t>>& keep_counts, const Room& room) {
  const auto size = static_cast<size_t>(room.n_layers * room.n_kv_heads);
  std::map<std::string, std::vector<int32_t>> of_cell;
  for (size_t i = 0; i < content.rows.size(); ++i) {
    auto& values = of_cell[content.rows[i].cell_id];
    if (keep_counts[i].empty()) {
      values.resize(values.size() + size, kNotKept);
    } else {
      values.insert(values.end(), keep_counts[i].begin(), keep_counts[i].end());
    }
  }
  const Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_obj_track_times(properties.get(), 0);
  const Id group = file.own(
      H5Gcreate2(file.id(), "/budgets", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), "/budgets");
  for (const CellRow& cell : content.cells) {
    const auto open = room.open_rows.find(cell.cell_id);
    auto& values = of_cell[cell.cell_id];
    values.resize(values.size() + size * (open == room.open_rows.end() ? 0 : open->second),
                  kNotKept);
    const std::string name = "/budgets/" + cell.cell_id;
    const hsize_t sizes[] = {size == 0 ? 0 : values.size() / size,
                             static_cast<hsize_t>(room.n_layers),
                             static_cast<hsize_t>(room.n_kv_heads)};
    const Id space(H5Screate_simple(3, sizes, nullptr));
    const Id dataset = file.own(H5Dcreate2(group.get(), cell.cell_id.c_str(), H5T_NATIVE_INT32,
                                           space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                                name);
    file.check(
        H5Dwrite(dataset.get(), H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
        name);
  }
}

template <class Row>
void create_table(const h5::File& file, const char* name, const std::vector<Row>& rows,
                  const Widths& widths, int64_t capacity) {
  const Layout layout = Layout::of<Row>(widths);
  AppendTable::create(file, name, layout, std::max(capacity, static_cast<int64_t>(rows.size())),
                      pack_all(rows, layout));
}

// Of rows with the same key the later one stays, at the earlier one's place, unless it alone
// failed.
void keep_latest(std::vector<SampleRow>& rows) {
  std::map<RowKey, size_t> first;
  std::vector<SampleRow> kept;
  for (SampleRow& row : rows) {
    const auto [it, is_new] = first.try_emplace(key_of(row), kept.size());
    if (is_new) {
      kept.push_back(std::move(row));
    } else if (row.error.empty() || !kept[it->second].error.empty()) {
      kept[it->second] = std::move(row);
    }
  }
  rows = std::move(kept);
}

}  // namespace

int64_t Results::planned_rows() const {
  int64_t planned = 0;
  for (const CellRow& cell : cells) planned += cell.n_planned;
  return planned;
}

Results read_results(const std::filesystem::path& path) {
  const h5::File file(path, h5::Mode::kRead);
  Results results;
  results.file = path;
  read_run(file, results.info, results.state);
  results.cells = read_rows<CellRow>(file, "/cells");
  results.rows = read_rows<SampleRow>(file, "/samples");
  results.latency = read_rows<LatencyRow>(file, "/latency");
  if (h5::exists(file, "/plan")) results.plan = read_rows<PlanRow>(file, "/plan");
  std::set<std::string> known;
  for (const CellRow& cell : results.cells) known.insert(cell.cell_id);
  const auto blank = std::find_if(results.rows.begin(), results.rows.end(),
                                  [&](const auto& row) { return !known.contains(row.cell_id); });
  results.lost_rows = results.rows.end() - blank;
  results.rows.erase(blank, results.rows.end());
  TextPool::restore(file, results.rows);
  constexpr int64_t kFirstWithRepeats = 4;
  if (results.state.schema_version >= kFirstWithRepeats) keep_latest(results.rows);
  return results;
}

std::vector<std::vector<int32_t>> read_keep_counts(const Results& results) {
  const h5::File file(results.file, h5::Mode::kRead);
  std::map<std::string, h5::Array<int32_t>> budgets;
  for (const CellRow& cell : results.cells) {
    const std::string name = "/budgets/" + cell.cell_id;
    budgets[cell.cell_id] = h5::read_array<int32_t>(file, name);
    if (budgets[cell.cell_id].dims.size() != 3) file.fail(name, "expected [rows, layers, heads]");
  }
  // The rows as they lie in the file, double ones included, tell which entry is whose.
  std::map<std::string, int64_t> n_before;
  std::map<RowKey, std::vector<std::pair<std::string, std::vector<int32_t>>>> of_key;
  for (const SampleRow& row : read_rows<SampleRow>(file, "/samples")) {
    const auto budget = budgets.find(row.cell_id);
    if (budget == budgets.end()) break;  // lost rows
    const auto& [dims, values] = budget->second;
    const int64_t slot = n_before[row.cell_id]++, size = dims[1] * dims[2];
    if (slot >= dims[0]) file.fail("/budgets/" + row.cell_id, "has fewer entries than rows");
    std::vector<int32_t> counts(values.begin() + slot * size, values.begin() + (slot + 1) * size);
    if (!counts.empty() && counts[0] == kNotKept) counts.clear();
    of_key[key_of(row)].emplace_back(row.error, std::move(counts));
  }
  std::vector<std::vector<int32_t>> all;
  for (const SampleRow& row : results.rows) {
    const auto& found = of_key.at(key_of(row));
    // As keep_latest(): the last one that failed or not as the row did.
    const auto it = std::find_if(found.rbegin(), found.rend(), [&](const auto& candidate) {
      return candidate.first.empty() == row.error.empty();
    });
    // Of a damaged row the error's beginning may say another thing than its whole text.
    if (it == found.rend()) file.fail("/samples", "a row's error is damaged");
    all.push_back(it->second);
  }
  return all;
}

Widths initial_widths(const std::vector<CellRow>& cells) {
  constexpr size_t kHash = 16;
  Widths widths = {{"sample_hash", kHash}, {"context_id", kHash}, {"prediction", 256},
                   {"references", 256},    {"error", 128},        {"path", 8},
                   {"prompt_tail", 256}};
  for (const CellRow& cell : cells) widen(cell, widths);
  return widths;
}

TextPool write_results(const Results& content, const std::vector<std::vector<int32_t>>& keep_counts,
                       const Widths& widths, const Room& room) {
  const std::filesystem::path fresh = content.file.string() + ".tmp";
  auto capacity = static_cast<int64_t>(content.rows.size());
  for (const auto& [cell_id, count] : room.open_rows) capacity += count;
  TextPool pool;
  std::string texts;
  std::vector<SampleRow> rows = content.rows;
  for (SampleRow& row : rows) texts += pool.take(row);
  try {
    h5::File file(fresh, h5::Mode::kCreate);
    // First, while nothing has been freed in the file: so their headers do not straddle pages.
    create_table(file, "/samples", rows, widths, capacity);
    Widths latency_widths;
    for (const LatencyRow& row : content.latency) widen(row, latency_widths);
    create_table(file, "/latency", content.latency, latency_widths, 0);
    write_run(file, content.info, content.state);
    write_rows(file, "/cells", content.cells);
    write_rows(file, "/plan", content.plan);
    write_budgets(file, content, keep_counts, room);
    TextPool::create(file, texts, room.text_bytes);
    file.close();
    settle_file(fresh);
    replace_file(fresh, content.file);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    throw;
  }
  return pool;
}

}  // namespace kvbench
