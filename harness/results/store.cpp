#include "harness/results/store.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "harness/base/error.h"
#include "harness/base/files.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhatToDo = "choose another --output, or --fresh to set the file aside";

void set_aside(const fs::path& path) {
  const std::string stem = path.string() + ".bak-" + utc_now("%Y%m%d-%H%M%S");
  fs::path target = stem;
  for (int i = 2; fs::exists(target); ++i) target = fmt::format("{}-{}", stem, i);
  fs::rename(path, target);
}

Results read_existing(const fs::path& path) {
  try {
    Results existing = read_results(path);
    if (existing.state.schema_version != kSchemaVersion) {
      throw_input_error("{}: schema version {} can be reported, not extended", path.string(),
                        existing.state.schema_version);
    }
    return existing;
  } catch (const std::runtime_error& e) {
    throw_input_error("{}; the file is left as it is: {}", e.what(), kWhatToDo);
  }
}

// A sample that stands where another one stood: the data behind its name have changed.
void check_same_data(const Results& existing, const std::vector<PlannedGroup>& plan) {
  std::map<std::string, const PlannedGroup*> group_of;
  for (const auto& group : plan) {
    for (const auto& cell : group.cells) group_of[cell.cell_id] = &group;
  }
  std::map<std::pair<const PlannedGroup*, int64_t>, PlannedSample> made;
  for (const SampleRow& row : existing.rows) {
    const auto found = group_of.find(row.cell_id);
    if (found == group_of.end() || row.sample_hash.empty()) continue;  // "": it could not be made
    const PlannedGroup& group = *found->second;
    if (!std::binary_search(group.sample_ids.begin(), group.sample_ids.end(), row.sample_id)) {
      continue;
    }
    const auto [it, is_new] = made.try_emplace({&group, row.sample_id});
    if (is_new) it->second = group.sample(row.sample_id);
    const PlannedSample& now = it->second;
    const bool same_prompt = now.sample_hash == row.sample_hash;
    if (same_prompt && now.references == row.references) continue;
    throw_input_error(
        "{}: holds other data: sample {} of {} ({}) has {} than when the file was made; {}",
        existing.file.string(), row.sample_id, row.task, row.source,
        same_prompt ? "other references" : "another prompt", kWhatToDo);
  }
}

}  // namespace

ResultsStore::ResultsStore(fs::path path, RunInfo info, const std::vector<PlannedGroup>& plan,
                           int64_t n_layers, int64_t n_kv_heads, const StoreOptions& options)
    : n_layers_(n_layers), n_kv_heads_(n_kv_heads) {
  check_writable(path);
  lock_ = FileLock(path);
  if (options.fresh && fs::exists(path)) set_aside(path);
  content_.file = path;
  for (const auto& group : plan) {
    KVB_CHECK(std::is_sorted(group.sample_ids.begin(), group.sample_ids.end()) &&
                  std::adjacent_find(group.sample_ids.begin(), group.sample_ids.end()) ==
                      group.sample_ids.end(),
              "the samples of {} are not in order", group.cells.at(0).task);
    for (const auto& cell : group.cells) {
      KVB_CHECK(cells_.try_emplace(cell.cell_id, content_.cells.size()).second,
                "cell {} is there twice", cell.cell_id);
      CellRow& row = content_.cells.emplace_back();
      row.Cell::operator=(cell);
      row.n_planned = static_cast<int64_t>(group.sample_ids.size());
      n_planned_ += row.n_planned;
      group_of_.push_back(sample_ids_.size());
    }
    sample_ids_.push_back(group.sample_ids);
    for (const PlanRow& row : group.of_all_shards) content_.plan.push_back(row);
    if (!group.of_all_shards.empty()) continue;
    for (const auto id : group.sample_ids) {
      content_.plan.push_back({group.cells.at(0).group_id, id});
    }
  }
  if (fs::exists(path)) {
    extend(info, plan, options);
  } else {
    content_.state.start_time = utc_now();
    content_.state.sessions = session_line(info, info, 0, content_.state.start_time);
    content_.info = std::move(info);
    const Widths widths = initial_widths(content_.cells);
    rewrite(content_, {}, widths);
  }
}

void ResultsStore::extend(const RunInfo& now, const std::vector<PlannedGroup>& plan,
                          const StoreOptions& options) {
  Results existing = read_existing(content_.file);
  if (const auto difference = identity_difference(existing.info, now); !difference.empty()) {
    throw_input_error("{}: holds another run: {}; {}", existing.file.string(), difference,
                      kWhatToDo);
  }
  check_same_data(existing, plan);

  // What was measured keeps the names under which it stands there; cells and samples that this run
  // does not ask for stay behind those that it does.
  for (CellRow& cell : existing.cells) {
    const auto it = cells_.find(cell.cell_id);
    if (it == cells_.end()) {
      cells_.emplace(cell.cell_id, content_.cells.size());
      cell.n_planned = 0;
      content_.cells.push_back(std::move(cell));
    } else {
      cell.n_planned = content_.cells[it->second].n_planned;
      content_.cells[it->second] = std::move(cell);
    }
  }
  for (const SampleRow& row : existing.rows) {
    if (!is_planned(key_of(row))) {
      ++content_.cells[cells_.at(row.cell_id)].n_planned;
    } else if (!row.error.empty() ? options.keep_failed
                                  : !(options.fidelity && std::isnan(row.kl_full)) &&
                                        !(options.likelihood && std::isnan(row.nll_full))) {
      done_.emplace(cells_.at(row.cell_id), row.sample_id);
    }
  }
  content_.state = std::move(existing.state);
  content_.latency = std::move(existing.latency);
  const auto n_failed =
      options.keep_failed
          ? 0
          : std::erase_if(content_.latency, [](const auto& row) { return !row.error.empty(); });
  content_.info = std::move(existing.info);
  if (complete() && n_done() == n_planned() && n_failed == 0) return;
  content_.state.sessions += session_line(content_.info, now, existing.lost_rows, utc_now());
  add_facts(content_.info, now);
  content_.state.merged_from.clear();
  reopen();
}

// The file that is there becomes the one that is worked on; failed rows that will be done again go.
void ResultsStore::reopen() {
  Results stored = read_results(content_.file);
  std::vector<std::vector<int32_t>> keep_counts = read_keep_counts(stored);
  const h5::File file(content_.file, h5::Mode::kRead);
  const Widths widths = Layout::stored_widths(file, "/samples");
  Results content = content_;
  content.state.complete = false;
  std::vector<std::vector<int32_t>> counts_of_kept;
  for (size_t i = 0; i < stored.rows.size(); ++i) {
    const RowKey key = key_of(stored.rows[i]);
    if (!stored.rows[i].error.empty() && is_planned(key) && !is_done(key)) continue;
    content.rows.push_back(std::move(stored.rows[i]));
    counts_of_kept.push_back(std::move(keep_counts[i]));
  }
  Widths wider = widths;
  for (const auto& [column, width] : initial_widths(content.cells)) {
    wider[column] = std::max(wider[column], width);
  }
  rewrite(std::move(content), counts_of_kept, wider);
}

void ResultsStore::rewrite(Results content, const std::vector<std::vector<int32_t>>& keep_counts,
                           const Widths& widths, int64_t text_bytes) {
  Room room{n_layers_, n_kv_heads_, {}, text_bytes};
  for (size_t c = 0; c < group_of_.size(); ++c) {
    room.open_rows[content_.cells[c].cell_id] = n_open(c);
  }
  texts_ = write_results(content, keep_counts, widths, room);
  slots_.clear();
  for (const SampleRow& row : content.rows) ++slots_[row.cell_id];
  content.rows.clear();
  content_ = std::move(content);
  widths_ = widths;
  layout_ = Layout::of<SampleRow>(widths);
  samples_ = {};
  file_ = std::make_unique<h5::File>(content_.file, h5::Mode::kAppend);
  samples_ = AppendTable(*file_, "/samples");
}

bool ResultsStore::is_planned(const RowKey& key) const {
  const auto cell = cells_.find(key.cell_id);
  if (cell == cells_.end() || cell->second >= group_of_.size()) return false;
  const auto& ids = sample_ids_[group_of_[cell->second]];
  return std::binary_search(ids.begin(), ids.end(), key.sample_id);
}

bool ResultsStore::is_done(const RowKey& key) const {
  return done_.contains({cells_.at(key.cell_id), key.sample_id});
}

int64_t ResultsStore::n_open(size_t cell) const {
  const auto least = std::numeric_limits<int64_t>::min();
  const auto n_done =
      std::distance(done_.lower_bound({cell, least}), done_.lower_bound({cell + 1, least}));
  return std::ssize(sample_ids_[group_of_[cell]]) - n_done;
}

void ResultsStore::rewrite_with(const Widths& widths, int64_t text_bytes) {
  Results stored = read_results(content_.file);
  const auto keep_counts = read_keep_counts(stored);
  Results content = content_;
  content.rows = std::move(stored.rows);
  rewrite(std::move(content), keep_counts, widths, text_bytes);
}

// `text_bytes` are the most that /texts must hold when the row is there.
void ResultsStore::make_room_for(const SampleRow& row, int64_t text_bytes) {
  Widths wider = widths_;
  const int64_t capacity = TextPool::capacity(*file_);
  if (!widen(row, wider, TextPool::kColumn) && text_bytes <= capacity) return;
  for (auto& [column, width] : wider) {
    if (width != widths_[column]) width = std::bit_ceil(width);  // few rewrites on the way up
  }
  rewrite_with(wider,
               text_bytes <= capacity
                   ? capacity
                   : static_cast<int64_t>(2 * std::bit_ceil(static_cast<uint64_t>(text_bytes))));
}

void ResultsStore::append(SampleRow row, std::span<const int32_t> keep_counts) {
  const auto found = cells_.find(row.cell_id);
  const RowKey key = key_of(row);
  KVB_CHECK(found != cells_.end() && is_planned(key), "a row of cell \"{}\", not of this run",
            row.cell_id);
  KVB_CHECK(!is_done(key), "sample {} of cell {} came twice", row.sample_id, row.cell_id);
  const Cell& cell = content_.cells[found->second];
  row.task = cell.task;
  row.source = cell.source;
  row.seed = cell.seed;
  row.protocol = cell.protocol;
  row.metric = cell.metric;
  row.policy = cell.policy;
  row.scorer = cell.scorer;
  row.allocator = cell.allocator;
  row.ratio = cell.ratio;
  row.compress = cell.compress;
  make_room_for(row, texts_.size() + TextPool::most_bytes(row));
  // Texts and keep counts first: the row commits them, and a killed sample's are written over.
  const int64_t texts_end = texts_.size();
  TextPool::write(*file_, texts_end, texts_.take(row));
  write_keep_counts(row.cell_id, slots_[row.cell_id], keep_counts);
  std::vector<char> record(layout_.row_bytes());
  layout_.pack(row, record);
  samples_.append(record);
  ++slots_[row.cell_id];
  done_.emplace(found->second, key.sample_id);
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

void ResultsStore::add_latency(const LatencyRow& row) {
  if (file_ == nullptr) reopen();
  content_.latency.push_back(row);
  rewrite_with(widths_);
}

void ResultsStore::finish() {
  if (complete() && file_ == nullptr) return;
  KVB_CHECK(n_done() == n_planned(), "{} of {} rows are there", n_done(), n_planned());
  Results stored = read_results(content_.file);
  const auto keep_counts = read_keep_counts(stored);
  std::vector<size_t> order(stored.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // The plan's order: groups, in each its samples, of each its cells; then what is not planned.
  const auto place = [&](size_t i) -> std::tuple<size_t, int64_t, size_t> {
    const SampleRow& row = stored.rows[i];
    if (!is_planned(key_of(row))) return {sample_ids_.size(), 0, 0};
    const size_t cell = cells_.at(row.cell_id);
    return {group_of_[cell], row.sample_id, cell};
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return place(a) < place(b); });
  Results content = content_;
  std::vector<std::vector<int32_t>> sorted_counts;
  Widths widths;
  for (const size_t i : order) {
    widen(stored.rows[i], widths, TextPool::kColumn);
    content.rows.push_back(std::move(stored.rows[i]));
    sorted_counts.push_back(keep_counts[i]);
  }
  content.cells = derive_cells(content.cells, content.rows);
  content.state.complete = true;
  content.state.end_time = utc_now();
  rewrite(std::move(content), sorted_counts, widths);
  samples_ = {};
  file_.reset();
}

}  // namespace kvbench
