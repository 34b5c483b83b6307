#include "harness/results/store.h"

#include <algorithm>
#include <bit>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

void set_aside(const fs::path& path) {
  const std::string stem = path.string() + ".bak-" + utc_now("%Y%m%d-%H%M%S");
  fs::path target = stem;
  for (int i = 2; fs::exists(target); ++i) target = fmt::format("{}-{}", stem, i);
  fs::rename(path, target);
}

}  // namespace

ResultsStore::ResultsStore(fs::path path, RunInfo info, const std::vector<Cell>& cells,
                           int64_t n_layers, int64_t n_kv_heads, bool fresh)
    : n_layers_(n_layers), n_kv_heads_(n_kv_heads) {
  check_writable(path);
  lock_ = FileLock(path);
  if (fresh && fs::exists(path)) set_aside(path);
  content_.file = path;
  for (const Cell& cell : cells) {
    KVB_CHECK(rows_of_cell_.try_emplace(cell.cell_id, 0).second, "cell {} is there twice",
              cell.cell_id);
    content_.cells.emplace_back().Cell::operator=(cell);
  }
  if (fs::exists(path)) {
    Results existing;
    try {
      existing = read_results(path);
      if (existing.state.schema_version != kSchemaVersion) {
        throw_input_error("{}: schema version {} can be reported, not extended", path.string(),
                          existing.state.schema_version);
      }
    } catch (const std::runtime_error& e) {
      throw_input_error(
          "{}; the file is left as it is: choose another --output, or --fresh to set it aside",
          e.what());
    }
    resume(std::move(existing), info);
  } else {
    Results empty = content_;
    empty.state.start_time = utc_now();
    empty.state.sessions = session_line(info, info, 0, empty.state.start_time);
    empty.info = std::move(info);
    rewrite(std::move(empty), initial_widths(content_.cells));
  }
}

void ResultsStore::resume(Results existing, const RunInfo& now) {
  std::string difference = first_difference(existing.info, now);
  const auto describe = [](const std::vector<CellRow>& cells, size_t i) {
    return i < cells.size()
               ? fmt::format("{} with {} samples", cells[i].cell_id, cells[i].n_planned)
               : std::string("absent");
  };
  for (size_t i = 0; i < std::max(existing.cells.size(), content_.cells.size()); ++i) {
    const auto before = describe(existing.cells, i), after = describe(content_.cells, i);
    if (difference.empty() && before != after) {
      difference = fmt::format("cell {} is {} in the file, {} now", i, before, after);
    }
  }
  if (!difference.empty()) {
    throw_input_error(
        "{}: holds another run: {}; choose another --output, or --fresh to set the file aside",
        existing.file.string(), difference);
  }
  for (const SampleRow& row : existing.rows) count(row);
  if (existing.state.complete) {
    content_ = std::move(existing);
    return;
  }
  existing.state.sessions += session_line(existing.info, now, existing.lost_rows, utc_now());
  file_ = std::make_unique<h5::File>(existing.file, h5::Mode::kRead);
  const Widths widths = Layout::stored_widths(*file_, "/samples");
  rewrite(std::move(existing), widths);
}

void ResultsStore::rewrite(Results content, const Widths& widths) {
  write_results(content.file, content, widths, file_.get(), n_layers_, n_kv_heads_);
  content.rows.clear();
  content_ = std::move(content);
  widths_ = widths;
  layout_ = Layout::of<SampleRow>(widths);
  samples_ = {};
  file_ = std::make_unique<h5::File>(content_.file, h5::Mode::kAppend);
  samples_ = AppendTable(*file_, "/samples");
}

void ResultsStore::make_room_for(const SampleRow& row) {
  Widths wider = widths_;
  if (!widen(row, wider)) return;
  for (auto& [column, width] : wider) {
    if (width != widths_[column]) width = std::bit_ceil(width);  // few rewrites on the way up
  }
  Results content = content_;
  content.rows = read_rows<SampleRow>(*file_, "/samples");
  rewrite(std::move(content), wider);
}

void ResultsStore::count(const SampleRow& row) {
  ++rows_of_cell_[row.cell_id];
  finished_.emplace(row.cell_id, row.sample_id);
}

void ResultsStore::append(const SampleRow& row, std::span<const int32_t> keep_counts) {
  const auto cell = std::find_if(content_.cells.begin(), content_.cells.end(),
                                 [&](const CellRow& c) { return c.cell_id == row.cell_id; });
  KVB_CHECK(cell != content_.cells.end(), "a row of cell \"{}\", which is not of this run",
            row.cell_id);
  KVB_CHECK(!finished_.contains({row.cell_id, row.sample_id}), "sample {} of cell {} came twice",
            row.sample_id, row.cell_id);
  const int64_t slot = rows_of_cell_[row.cell_id];
  KVB_CHECK(slot < cell->n_planned, "cell {} has more rows than the {} planned", row.cell_id,
            cell->n_planned);
  make_room_for(row);
  // Keep counts first: the row commits both, and a killed sample's are written over.
  write_keep_counts(row.cell_id, slot, keep_counts);
  std::vector<char> record(layout_.row_bytes());
  layout_.pack(row, record);
  samples_.append(record);
  count(row);
}

void ResultsStore::write_keep_counts(const std::string& cell_id, int64_t slot,
                                     std::span<const int32_t> counts) {
  const auto size = static_cast<size_t>(n_layers_ * n_kv_heads_);
  const std::vector<int32_t> none(size, -1);
  KVB_CHECK(counts.empty() || counts.size() == size, "{} keep counts, expected {}", counts.size(),
            size);
  const std::string name = "/budgets/" + cell_id;
  const h5::Id dataset = file_->own(H5Dopen2(file_->id(), name.c_str(), H5P_DEFAULT), name);
  const h5::Id target = file_->own(H5Dget_space(dataset.get()), name);
  const hsize_t start[] = {static_cast<hsize_t>(slot), 0, 0};
  const hsize_t extent[] = {1, static_cast<hsize_t>(n_layers_), static_cast<hsize_t>(n_kv_heads_)};
  file_->check(H5Sselect_hyperslab(target.get(), H5S_SELECT_SET, start, nullptr, extent, nullptr),
               name);
  const h5::Id source(H5Screate_simple(3, extent, nullptr));
  file_->check(H5Dwrite(dataset.get(), H5T_NATIVE_INT32, source.get(), target.get(), H5P_DEFAULT,
                        counts.empty() ? none.data() : counts.data()),
               name);
}

void ResultsStore::add_latency(const std::vector<LatencyRow>& rows) {
  Results content = content_;
  content.rows = read_rows<SampleRow>(*file_, "/samples");
  content.latency.insert(content.latency.end(), rows.begin(), rows.end());
  rewrite(std::move(content), widths_);
}

void ResultsStore::finish() {
  if (complete()) return;
  const auto done = static_cast<int64_t>(finished_.size());
  KVB_CHECK(done == planned_rows(), "{} of {} rows are there", done, planned_rows());
  Results content = content_;
  content.rows = read_rows<SampleRow>(*file_, "/samples");
  content.cells = derive_cells(content.cells, content.rows);
  content.state.complete = true;
  content.state.end_time = utc_now();
  Widths widths;
  for (const SampleRow& row : content.rows) widen(row, widths);
  rewrite(std::move(content), widths);
  samples_ = {};
  file_.reset();
}

}  // namespace kvbench
