#include "harness/report/join.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "harness/base/hash.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

std::string cell_name(const CellRow& cell) {
  return fmt::format("{} {} {} {} {}", cell.task, cell.max_length, cell.compress, cell.policy,
                     ratio_text(cell.ratio));
}

// The seed of a task out of "task seed" lines; 0 when it is not there or has several.
int64_t seed_of(const std::string& seeds, const std::string& task) {
  std::istringstream lines(seeds);
  std::set<int64_t> found;
  std::string name;
  for (int64_t seed = 0; lines >> name >> seed;) {
    if (name == task) found.insert(seed);
  }
  return found.size() == 1 ? *found.begin() : 0;
}

// Fills what files of schemas 1 and 2 lack.
void complete_old(Results& results) {
  std::map<std::string, Cell> cells;
  std::map<std::string, int> seen;  // cells that differ in nothing we know: other samples
  for (CellRow& cell : results.cells) {
    cell.group_id = sha256_hex(fmt::format(
        "{}\n{}\n{}\n{} {} {} {}", results.info.model_hash, results.info.data_hashes,
        results.info.seeds, cell.task, cell.max_length, cell.compress, seen[cell_name(cell)]++));
    cell.source = cell.max_length == 0 ? "file" : "generated";
    cell.seed = seed_of(results.info.seeds, cell.task);
    cells[cell.cell_id] = cell;
  }
  for (SampleRow& row : results.rows) {
    Cell& cell = cells[row.cell_id];
    row.sample_hash = fmt::format("{:09}", row.sample_id);
    row.context_id = cell.group_id + " " + row.sample_hash;
    row.source = cell.source;
    row.seed = cell.seed;
    if (row.source != "file") continue;
    row.max_length = static_cast<int64_t>(static_cast<uint64_t>(row.context_tokens) +
                                          static_cast<uint64_t>(row.question_tokens));
    cell.max_length = std::max(cell.max_length, row.max_length);
  }
  for (CellRow& cell : results.cells) cell.max_length = cells[cell.cell_id].max_length;
}

void add_warnings(const Results& results, std::vector<std::string>& warnings) {
  const std::string file = results.file.string();
  const auto n_rows = static_cast<int64_t>(results.rows.size());
  const bool wants_latency = results.info.config.find("\nlatency:") != std::string::npos;
  if (results.lost_rows > 0) {
    warnings.push_back(fmt::format("{}: {} rows were lost; the next run makes them again", file,
                                   results.lost_rows));
  }
  if (!results.info.shard.empty()) {
    warnings.push_back(fmt::format("{}: shard {}, a part of its sweep", file, results.info.shard));
  }
  if (!results.state.complete) {
    std::string missing;
    if (n_rows < results.planned_rows()) {
      missing = fmt::format("{} of {} rows", n_rows, results.planned_rows());
    } else if (wants_latency && results.latency.empty()) {
      missing = fmt::format("all {} rows, but no latency yet", n_rows);
    } else {
      missing = fmt::format("all {} rows, but the run has not closed the file", n_rows);
    }
    warnings.push_back(fmt::format("{}: incomplete: {}", file, missing));
  }
  const auto has_failed = [](const auto& row) { return !row.error.empty(); };
  const auto failed = std::count_if(results.rows.begin(), results.rows.end(), has_failed);
  if (failed > 0) {
    warnings.push_back(
        fmt::format("{}: {} of {} samples failed and are not in the means", file, failed, n_rows));
  }
  const auto unmeasured = std::count_if(results.latency.begin(), results.latency.end(), has_failed);
  if (unmeasured > 0) {
    warnings.push_back(fmt::format("{}: {} of {} isolated measurements failed", file, unmeasured,
                                   results.latency.size()));
  }
}

// The cells of all files, each once, by model and cell id.
class Cells {
 public:
  void add(size_t run, Results& results) {
    for (CellRow& cell : results.cells) {
      const auto [it, added] =
          at_.try_emplace({results.info.model_hash, cell.cell_id}, cells_.size());
      if (added) cells_.push_back({run, cell, {}});
      CellRow& known = cells_[it->second].cell;
      known.n_planned = std::max(known.n_planned, cell.n_planned);
      known.max_length = std::max(known.max_length, cell.max_length);
    }
    for (SampleRow& row : results.rows) {
      add(at_.at({results.info.model_hash, row.cell_id}), std::move(row));
    }
  }

  std::vector<Measured> take(std::vector<std::string>& warnings) {
    if (n_differ_ > 0) {
      warnings.push_back(fmt::format(
          "{} samples are there twice and differ in answer or score: the first counts", n_differ_));
    }
    for (Measured& measured : cells_) {
      measured.cell = derive_cells({measured.cell}, measured.rows).front();
    }
    return std::move(cells_);
  }

 private:
  void add(size_t cell, SampleRow&& row) {
    auto& rows = cells_[cell].rows;
    const auto [it, added] =
        row_at_.try_emplace({cell, row.sample_hash, row.sample_id}, rows.size());
    if (added) {
      rows.push_back(std::move(row));
      return;
    }
    SampleRow& first = rows[it->second];
    if (first.error.empty() && row.error.empty() &&
        (first.prediction != row.prediction || first.score != row.score)) {
      ++n_differ_;
    }
    if (!first.error.empty() && row.error.empty()) first = std::move(row);
  }

  std::vector<Measured> cells_;
  std::map<std::pair<std::string, std::string>, size_t> at_;
  std::map<std::tuple<size_t, std::string, int64_t>, size_t> row_at_;
  int64_t n_differ_ = 0;
};

// Gives every policy one name of its own.
class PolicyNames {
 public:
  void see(const std::string& id, const std::string& name) {
    if (!id.empty() && names_.try_emplace(id, name).second) ids_[name].push_back(id);
  }

  void add_warnings(std::vector<std::string>& warnings) {
    for (const auto& [name, ids] : ids_) {
      if (ids.size() == 1) continue;
      size_t length = 4;
      const auto marks = [&] {
        std::set<std::string> all;
        for (const auto& id : ids) all.insert(id.substr(0, length));
        return all.size();
      };
      while (marks() < ids.size()) ++length;
      for (const auto& id : ids) names_[id] = name + "#" + id.substr(0, length);
      warnings.push_back(
          fmt::format("{} policies are called {}: told apart by #", ids.size(), name));
    }
  }

  void apply(const std::string& id, std::string& name) const {
    const auto known = names_.find(id);
    if (known != names_.end()) name = known->second;
  }

 private:
  std::map<std::string, std::string> names_;             // by id
  std::map<std::string, std::vector<std::string>> ids_;  // by first name
};

void name_policies(Joined& joined) {
  PolicyNames names;
  for (const Measured& measured : joined.cells) {
    names.see(measured.cell.policy_id, measured.cell.policy);
  }
  for (const auto& [run, row] : joined.latency) names.see(row.policy_id, row.policy);
  names.add_warnings(joined.warnings);
  for (Measured& measured : joined.cells) {
    names.apply(measured.cell.policy_id, measured.cell.policy);
    for (SampleRow& row : measured.rows) row.policy = measured.cell.policy;
  }
  for (auto& [run, row] : joined.latency) names.apply(row.policy_id, row.policy);
}

}  // namespace

Joined join(std::vector<Results> files) {
  Joined joined;
  Cells cells;
  std::set<std::string> latency_seen;
  for (size_t run = 0; run < files.size(); ++run) {
    Results& results = files[run];
    add_warnings(results, joined.warnings);
    constexpr int64_t kFirstWithIdentities = 3;
    if (results.state.schema_version < kFirstWithIdentities) complete_old(results);
    cells.add(run, results);
    std::set<std::string> here;  // a file given twice counts once
    for (LatencyRow& row : results.latency) {
      std::string text;
      visit_columns(row,
                    [&](const char*, const auto& value) { text += fmt::format("{} ", value); });
      if (latency_seen.contains(text)) continue;
      here.insert(text);
      joined.latency.push_back({run, std::move(row)});
    }
    latency_seen.merge(here);
    joined.runs.push_back(results.info);
  }
  joined.cells = cells.take(joined.warnings);
  name_policies(joined);
  return joined;
}

Stratum scores_of(const Measured& measured) {
  Stratum stratum;
  for (const SampleRow& row : measured.rows) {
    if (!row.error.empty()) continue;
    stratum.values.push_back(row.score);
    stratum.contexts.push_back(row.context_id);
  }
  return stratum;
}

bool is_full(const CellRow& cell) {
  return cell.policy == "full" ||
         (cell.scorer.empty() && cell.allocator.empty() && cell.ratio == 0);
}

std::string ratio_text(double ratio) { return std::isnan(ratio) ? "-" : fmt::format("{}", ratio); }

}  // namespace kvbench
