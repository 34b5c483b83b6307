#include "harness/results/merge.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/file_lock.h"
#include "harness/base/files.h"
#include "harness/results/results_file.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

namespace fs = std::filesystem;

struct Input {
  Results results;
  std::vector<std::vector<int32_t>> keep_counts;  // of results.rows
  int64_t n_layers = 0, n_kv_heads = 0;

  std::string name() const { return results.file.string(); }
};

Input read_input(const fs::path& path) {
  try {
    Input input;
    input.results = read_results(path);
    const Results& results = input.results;
    if (results.state.schema_version != kSchemaVersion) {
      throw_input_error("{}: schema version {} can be reported, not merged", path.string(),
                        results.state.schema_version);
    }
    if (results.plan.empty() && !results.state.complete) {
      throw_input_error(
          "{}: does not say which samples it lacks: it was made before files could be merged; "
          "finish it first (kvbench run)",
          path.string());
    }
    if (results.cells.empty()) throw_input_error("{}: there are no cells in it", path.string());
    input.keep_counts = read_keep_counts(results);
    const auto sizes =
        h5::dims(h5::File(path, h5::Mode::kRead), "/budgets/" + results.cells.front().cell_id);
    input.n_layers = static_cast<int64_t>(sizes.at(1));
    input.n_kv_heads = static_cast<int64_t>(sizes.at(2));
    return input;
  } catch (const InputError&) {
    throw;
  } catch (const std::runtime_error& e) {
    throw InputError(e.what());
  }
}

// Nothing is lost that only `out` holds.
void check_out(const fs::path& out, const std::vector<fs::path>& inputs) {
  check_writable(out, Probe::kAsk);
  if (!fs::exists(out)) return;
  for (const auto& input : inputs) {
    std::error_code ignored;  // one that is not there is refused where it is read
    if (!fs::equivalent(out, input, ignored)) continue;
    throw_input_error("{}: is among the files to be merged; choose another output", out.string());
  }
  std::string made_of;
  try {
    made_of = read_results(out).state.merged_from;
  } catch (const std::runtime_error&) {  // nothing of ours: refused below
  }
  if (!made_of.empty()) return;
  throw_input_error("{}: is there and was not written by merge; choose another output",
                    out.string());
}

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.insert(line);
  return lines;
}

// The same rule as for a file that is gone on with; shards must have read the same data, too, which
// nothing else tells, as none has a sample of another.
void check_identity(const Input& first, const Input& input) {
  const RunInfo &one = first.results.info, &other = input.results.info;
  if (const auto difference = identity_difference(one, other); !difference.empty()) {
    throw_input_error("{}: holds another run than {} (the file): {}", input.name(), first.name(),
                      difference);
  }
  if (first.n_layers != input.n_layers || first.n_kv_heads != input.n_kv_heads) {
    throw_input_error("{}: /budgets: another number of layers and KV heads than in {}",
                      input.name(), first.name());
  }
  if (one.config != other.config) return;
  const auto a = lines_of(one.data_hashes), b = lines_of(other.data_hashes);
  if (std::includes(a.begin(), a.end(), b.begin(), b.end()) ||
      std::includes(b.begin(), b.end(), a.begin(), a.end())) {
    return;
  }
  const auto changed =
      std::find_if(b.begin(), b.end(), [&](const auto& line) { return !a.contains(line); });
  throw_input_error("{}: was made of other data than {}: {}", input.name(), first.name(), *changed);
}

// The column in which two rows answer the same sample differently; "" = in none. Times may differ.
std::string differing_column(const SampleRow& a, const SampleRow& b) {
  if (a.sample_hash != b.sample_hash) return "sample_hash";
  if (a.references != b.references) return "references";
  if (a.prediction != b.prediction) return "prediction";
  if (a.score != b.score) return "score";
  return "";
}

// How much was measured beside the score.
int n_measured(const SampleRow& row) {
  return (std::isnan(row.kl_full) ? 0 : 1) + (std::isnan(row.nll_full) ? 0 : 1);
}

class Merger {
 public:
  explicit Merger(std::vector<Input> inputs) : inputs_(std::move(inputs)) {}

  // Everything but /cells' derived columns and the order of rows.
  void join() {
    content_.info = inputs_.front().results.info;
    content_.info.shard.clear();
    content_.state.start_time = inputs_.front().results.state.start_time;
    for (const Input& input : inputs_) {
      check_identity(inputs_.front(), input);
      add_run(input);
      add_cells(input);
    }
    order_cells();
    for (Input& input : inputs_) {
      add_plan(input);
      add_rows(input);
      add_latency(input);
    }
  }

  void write(const fs::path& out) {
    find_missing();
    sort_rows();
    merged_.complete = is_measured() && merged_.missing.empty();
    content_.state.complete = merged_.complete;
    if (merged_.complete) {
      content_.state.end_time = end_time_;
      content_.cells = derive_cells(content_.cells, content_.rows);
    }
    Widths widths;
    for (const SampleRow& row : content_.rows) {
      widen(row, widths, TextPool::kColumn);
      merged_.n_failed += row.error.empty() ? 0 : 1;
    }
    merged_.n_rows = std::ssize(content_.rows);
    content_.file = out;
    const Input& first = inputs_.front();
    write_results(content_, keep_counts_, widths, {first.n_layers, first.n_kv_heads, {}});
  }

  Merged take() { return std::move(merged_); }

 private:
  using SampleKey = std::pair<std::string, int64_t>;  // group, sample

  void add_run(const Input& input) {
    const auto& [info, state] = std::tie(input.results.info, input.results.state);
    const RunInfo& first = inputs_.front().results.info;
    if (info.config != first.config) {
      merged_.notes.push_back(
          fmt::format("{}: its configuration is not that of {}, which the merged file says",
                      input.name(), inputs_.front().name()));
    }
    const std::string config = content_.info.config;
    add_facts(content_.info, info);
    content_.info.config = config;
    content_.info.shard.clear();
    // What the lines of a file say is meant beside its own attributes.
    std::string beside = session_line(content_.info, info, 0, "");
    beside.pop_back();
    std::istringstream lines(state.sessions);
    for (std::string line; std::getline(lines, line);) {
      content_.state.sessions += line + beside + "\n";
    }
    content_.state.start_time = std::min(content_.state.start_time, state.start_time);
    end_time_ = std::max(end_time_, state.end_time);
    content_.state.merged_from += input.name() + "\n";
  }

  void add_cells(const Input& input) {
    for (const CellRow& cell : input.results.cells) {
      group_order_.try_emplace(cell.group_id, group_order_.size());
      if (!cell_order_.try_emplace(cell.cell_id, 0).second) continue;
      CellRow& added = content_.cells.emplace_back();
      added.Cell::operator=(cell);
      added.n_planned = 0;
    }
  }

  // Groups as they came, in each its cells as they came.
  void order_cells() {
    std::stable_sort(content_.cells.begin(), content_.cells.end(),
                     [&](const CellRow& a, const CellRow& b) {
                       return group_order_.at(a.group_id) < group_order_.at(b.group_id);
                     });
    for (size_t c = 0; c < content_.cells.size(); ++c) {
      cell_order_[content_.cells[c].cell_id] = c;
    }
  }

  // Which samples each cell is to have. A cell that the latest run of a file did not ask for stays
  // there with the rows that it has: it is to have those.
  void add_plan(const Input& input) {
    std::map<std::string, std::vector<const PlanRow*>> of_group;
    for (const PlanRow& row : input.results.plan) {
      if (!group_order_.contains(row.group_id)) {
        throw_input_error("{}: /plan: group \"{}\" has no cells", input.name(), row.group_id);
      }
      of_group[row.group_id].push_back(&row);
      if (shard_of_.try_emplace({row.group_id, row.sample_id}, row.shard).second) {
        content_.plan.push_back(row);
      }
    }
    const int64_t shard = shard_of(input);
    for (const CellRow& cell : input.results.cells) {
      const auto& plan = of_group[cell.group_id];
      const auto n_here = std::count_if(plan.begin(), plan.end(), [&](const PlanRow* row) {
        return shard == 0 || row->shard == shard;
      });
      if (cell.n_planned < n_here) continue;
      auto& samples = planned_[cell.cell_id];
      for (const PlanRow* row : plan) samples.insert(row->sample_id);
    }
  }

  // 0: the file is no shard.
  static int64_t shard_of(const Input& input) {
    const std::string& text = input.results.info.shard;
    return std::atoll(text.c_str());  // of "2/4"
  }

  void add_rows(Input& input) {
    for (size_t i = 0; i < input.results.rows.size(); ++i) {
      SampleRow& row = input.results.rows[i];
      planned_[row.cell_id].insert(row.sample_id);
      const auto [it, is_new] = row_at_.try_emplace(key_of(row), content_.rows.size());
      if (is_new) {
        content_.rows.push_back(std::move(row));
        keep_counts_.push_back(std::move(input.keep_counts[i]));
        file_of_.push_back(input.name());
        continue;
      }
      ++merged_.n_double;
      SampleRow& known = content_.rows[it->second];
      auto& known_counts = keep_counts_[it->second];
      if (known.error.empty() && row.error.empty()) {
        check_same_answer(input, row, input.keep_counts[i], it->second);
      }
      const bool is_better =
          row.error.empty() && (!known.error.empty() || n_measured(row) > n_measured(known));
      if (!is_better) continue;
      known = std::move(row);
      known_counts = std::move(input.keep_counts[i]);
      file_of_[it->second] = input.name();
    }
  }

  void check_same_answer(const Input& input, const SampleRow& row,
                         const std::vector<int32_t>& counts, size_t known) const {
    std::string column = differing_column(content_.rows[known], row);
    if (column.empty() && counts != keep_counts_[known]) column = "keep counts";
    if (column.empty()) return;
    throw_input_error(
        "{}: sample {} of {} ({} at {}, cell {}) differs from that in {}: {}; merge one of them",
        input.name(), row.sample_id, row.task, row.policy, row.ratio, row.cell_id, file_of_[known],
        column);
  }

  void add_latency(Input& input) {
    for (LatencyRow& row : input.results.latency) {
      const auto [it, is_new] =
          latency_at_.try_emplace({row.cell_id, row.repeat}, content_.latency.size());
      if (is_new) {
        content_.latency.push_back(std::move(row));
        continue;
      }
      ++merged_.n_double;
      LatencyRow& known = content_.latency[it->second];
      if (!known.error.empty() && row.error.empty()) known = std::move(row);
    }
  }

  // The file of the shard that measures is complete only when it has.
  bool is_measured() {
    if (content_.info.config.find("\nlatency:") == std::string::npos) return true;
    const bool has_measured = std::any_of(inputs_.begin(), inputs_.end(), [](const Input& input) {
      return input.results.state.complete && shard_of(input) <= 1;
    });
    if (!has_measured) {
      merged_.notes.push_back("latency measurements are missing: shard 1 makes them");
    }
    return has_measured;
  }

  void find_missing() {
    for (CellRow& cell : content_.cells) {
      const auto& samples = planned_[cell.cell_id];
      cell.n_planned = std::ssize(samples);
      std::map<int64_t, MissingRows> of_shard;
      for (const int64_t id : samples) {
        if (row_at_.contains({cell.cell_id, id})) continue;
        const int64_t shard = shard_of_.at({cell.group_id, id});
        MissingRows& missing =
            of_shard.try_emplace(shard, MissingRows{cell, shard, {}}).first->second;
        missing.sample_ids.push_back(id);
      }
      for (auto& [shard, missing] : of_shard) merged_.missing.push_back(std::move(missing));
    }
  }

  // As a run ends: groups, in each its samples, of each its cells.
  void sort_rows() {
    std::vector<size_t> order(content_.rows.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    const auto place = [&](size_t i) -> std::tuple<size_t, int64_t, size_t> {
      const SampleRow& row = content_.rows[i];
      const size_t cell = cell_order_.at(row.cell_id);
      return {group_order_.at(content_.cells[cell].group_id), row.sample_id, cell};
    };
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return place(a) < place(b); });
    std::vector<SampleRow> rows;
    std::vector<std::vector<int32_t>> keep_counts;
    for (const size_t i : order) {
      rows.push_back(std::move(content_.rows[i]));
      keep_counts.push_back(std::move(keep_counts_[i]));
    }
    content_.rows = std::move(rows);
    keep_counts_ = std::move(keep_counts);
    std::stable_sort(content_.plan.begin(), content_.plan.end(),
                     [&](const PlanRow& a, const PlanRow& b) {
                       return std::tie(group_order_.at(a.group_id), a.sample_id) <
                              std::tie(group_order_.at(b.group_id), b.sample_id);
                     });
  }

  std::vector<Input> inputs_;
  Results content_;
  std::vector<std::vector<int32_t>> keep_counts_;  // of content_.rows
  std::vector<std::string> file_of_;               // of content_.rows
  std::string end_time_;
  std::map<std::string, size_t> group_order_, cell_order_;  // places by id
  std::map<SampleKey, int64_t> shard_of_;
  std::map<std::string, std::set<int64_t>> planned_;  // samples of each cell
  std::map<RowKey, size_t> row_at_;
  std::map<std::pair<std::string, int64_t>, size_t> latency_at_;  // by cell and repeat
  Merged merged_;
};

}  // namespace

Merged merge_results(const fs::path& out, const std::vector<fs::path>& inputs) {
  check_out(out, inputs);
  std::vector<Input> read;
  for (const auto& input : inputs) read.push_back(read_input(input));
  Merger merger(std::move(read));
  merger.join();
  check_writable(out);
  const FileLock lock(out, ", or choose another output");
  merger.write(out);
  return merger.take();
}

}  // namespace kvbench
