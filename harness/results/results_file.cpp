#include "harness/results/results_file.h"

#include <algorithm>
#include <set>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/results/append_table.h"

namespace kvbench {
namespace {

using h5::Id;

void write_empty_budgets(const h5::File& file, const std::vector<CellRow>& cells, int64_t n_layers,
                         int64_t n_kv_heads) {
  const int32_t none = -1;
  const Id properties(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_fill_value(properties.get(), H5T_NATIVE_INT32, &none);
  H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY);
  H5Pset_obj_track_times(properties.get(), 0);
  const Id group = file.own(
      H5Gcreate2(file.id(), "/budgets", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), "/budgets");
  for (const CellRow& cell : cells) {
    const hsize_t sizes[] = {static_cast<hsize_t>(cell.n_planned), static_cast<hsize_t>(n_layers),
                             static_cast<hsize_t>(n_kv_heads)};
    const Id space(H5Screate_simple(3, sizes, nullptr));
    file.own(H5Dcreate2(group.get(), cell.cell_id.c_str(), H5T_NATIVE_INT32, space.get(),
                        H5P_DEFAULT, properties.get(), H5P_DEFAULT),
             "/budgets/" + cell.cell_id);
  }
}

template <class Row>
void create_table(const h5::File& file, const char* name, const std::vector<Row>& rows,
                  const Widths& widths, int64_t capacity) {
  const Layout layout = Layout::of<Row>(widths);
  AppendTable::create(file, name, layout, std::max(capacity, static_cast<int64_t>(rows.size())),
                      pack_all(rows, layout));
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
  std::set<std::string> known;
  for (const CellRow& cell : results.cells) known.insert(cell.cell_id);
  const auto blank = std::find_if(results.rows.begin(), results.rows.end(),
                                  [&](const auto& row) { return !known.contains(row.cell_id); });
  results.lost_rows = results.rows.end() - blank;
  results.rows.erase(blank, results.rows.end());
  return results;
}

Widths initial_widths(const std::vector<CellRow>& cells) {
  Widths widths = {{"prediction", 256}, {"references", 256}, {"error", 128}, {"path", 8}};
  for (const CellRow& cell : cells) widen(cell, widths);
  return widths;
}

void write_results(const std::filesystem::path& path, const Results& content, const Widths& widths,
                   const h5::File* old, int64_t n_layers, int64_t n_kv_heads) {
  const std::filesystem::path fresh = path.string() + ".tmp";
  try {
    h5::File file(fresh, h5::Mode::kCreate);
    // First, while nothing has been freed in the file: so their headers do not straddle pages.
    create_table(file, "/samples", content.rows, widths, content.planned_rows());
    Widths latency_widths;
    for (const LatencyRow& row : content.latency) widen(row, latency_widths);
    create_table(file, "/latency", content.latency, latency_widths, 0);
    write_run(file, content.info, content.state);
    write_rows(file, "/cells", content.cells);
    if (old != nullptr) {
      file.check(H5Ocopy(old->id(), "/budgets", file.id(), "/budgets", H5P_DEFAULT, H5P_DEFAULT),
                 "/budgets");
    } else {
      write_empty_budgets(file, content.cells, n_layers, n_kv_heads);
    }
    file.close();
    settle_file(fresh);
    replace_file(fresh, path);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    throw;
  }
}

}  // namespace kvbench
