#include "harness/report/report.h"

#include <algorithm>
#include <map>
#include <sstream>
#include <tuple>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/report/paired.h"
#include "harness/report/table.h"
#include "harness/results/results_file.h"
#include "harness/results/stats.h"

namespace kvbench {
namespace {

std::vector<Results> read_all(const std::vector<std::filesystem::path>& files) {
  std::vector<Results> all;
  std::map<std::tuple<std::string, std::string, int64_t>, std::string> owner;
  for (const auto& file : files) {
    try {
      all.push_back(read_results(file));
    } catch (const std::runtime_error& e) {
      throw_input_error("{}", e.what());
    }
    for (const SampleRow& row : all.back().rows) {
      const auto [it, added] = owner.try_emplace(
          {all.back().info.model_hash, row.cell_id, row.sample_id}, file.string());
      if (!added) {
        throw_input_error("{}: sample {} of cell {} ({}, {}, ratio {}) is also in {}",
                          file.string(), row.sample_id, row.cell_id, row.task, row.policy,
                          row.ratio, it->second);
      }
    }
  }
  return all;
}

std::vector<std::string> warnings_of(const Results& results) {
  std::vector<std::string> warnings;
  if (!results.state.complete) {
    warnings.push_back(fmt::format("{}: incomplete: {} of {} rows", results.file.string(),
                                   results.rows.size(), results.planned_rows()));
  }
  const auto failed = std::count_if(results.rows.begin(), results.rows.end(),
                                    [](const SampleRow& row) { return !row.error.empty(); });
  if (failed > 0) {
    warnings.push_back(fmt::format("{}: {} of {} samples failed and are not in the means",
                                   results.file.string(), failed, results.rows.size()));
  }
  return warnings;
}

// One line on where the numbers come from.
std::string origin(const Results& results) {
  const RunInfo& info = results.info;
  std::string line = fmt::format("{}: {} on {}", results.file.string(), info.model, info.device);
  const std::string& processor = info.gpu_name.empty() ? info.cpu_name : info.gpu_name;
  if (!processor.empty()) line += fmt::format(" ({})", processor);
  line += fmt::format(", {} threads", info.threads);
  if (!info.git_commit.empty()) line += fmt::format(", commit {}", info.git_commit);
  std::istringstream versions(info.versions);
  for (std::string version; std::getline(versions, version);) line += fmt::format(", {}", version);
  return line + fmt::format(", started {}", results.state.start_time);
}

// The derived cells of all files in configuration order; shards of one run share their cells.
std::vector<ModelCell> cells_of(const std::vector<Results>& all) {
  using Key = std::pair<std::string, std::string>;  // model hash, cell
  std::map<Key, std::vector<SampleRow>> rows;
  for (const auto& results : all) {
    for (const auto& row : results.rows) {
      rows[{results.info.model_hash, row.cell_id}].push_back(row);
    }
  }
  std::vector<ModelCell> cells;
  for (const auto& results : all) {
    for (const auto& cell : results.cells) {
      const auto found = rows.find({results.info.model_hash, cell.cell_id});
      if (found == rows.end()) continue;
      cells.push_back({results.info.model, derive_cells({cell}, found->second).front()});
      rows.erase(found);
    }
  }
  return cells;
}

template <class Row>
std::string csv(const std::vector<Row>& rows) {
  return render(full_table(rows), Format::kCsv);
}

// One CSV block for each: their columns may differ.
std::string csv_blocks(std::vector<Grid> grids) {
  std::string text;
  for (Grid& grid : grids) {
    grid.columns.insert(grid.columns.begin(), {"table", false});
    for (auto& row : grid.rows) row.insert(row.begin(), grid.title);
    text += fmt::format("{}{}", text.empty() ? "" : "\n", render(grid, Format::kCsv));
  }
  return text;
}

std::string csv(const ReportOptions& options, const std::vector<ModelCell>& cells,
                const std::vector<SampleRow>& samples, const std::vector<LatencyRow>& latency) {
  if (options.table == "samples") return csv(samples);
  if (options.table == "latency" || options.table == "memory") return csv(latency);
  if (options.table == "summary") return csv_blocks(summary_tables(cells));
  if (options.table == "paired") return csv_blocks(paired_tables(samples, options.against));
  std::vector<CellRow> rows;
  for (const auto& [model, cell] : cells) rows.push_back(cell);
  return csv(rows);
}

std::vector<Grid> tables(const ReportOptions& options, const std::vector<ModelCell>& cells,
                         const std::vector<SampleRow>& samples,
                         const std::vector<LatencyRow>& latency) {
  const std::string& table = options.table;
  if (table == "paired") return paired_tables(samples, options.against);
  if (table == "samples") return {sample_table(samples)};
  if (table == "latency") return {latency_table(latency)};
  if (table == "memory") return {memory_table(latency)};
  if (table == "cells") return {cell_table(cells)};
  auto grids = summary_tables(cells);
  if (table.empty()) grids.push_back(cell_table(cells));
  if (table.empty() && !latency.empty()) {
    grids.push_back(latency_table(latency));
    grids.push_back(memory_table(latency));
  }
  return grids;
}

// Lines before the tables, as the format writes remarks.
std::string remarks(const std::vector<std::string>& lines, Format format) {
  const char* mark = format == Format::kLatex ? "% " : format == Format::kMarkdown ? "- " : "";
  std::string text;
  for (const auto& line : lines) text += fmt::format("{}{}\n", mark, line);
  return text;
}

}  // namespace

Report report(const std::vector<std::filesystem::path>& files, const ReportOptions& options) {
  const std::vector<std::string> known = {"summary", "cells",  "samples",
                                          "latency", "memory", "paired"};
  if (!options.table.empty() &&
      std::find(known.begin(), known.end(), options.table) == known.end()) {
    throw_input_error("--table: {}", unknown_name("table", options.table, known));
  }
  if ((options.table == "paired") != !options.against.empty()) {
    throw InputError("--against POLICY and --table paired go together");
  }
  const auto all = read_all(files);
  const auto cells = cells_of(all);
  std::vector<SampleRow> samples;
  std::vector<LatencyRow> latency;
  std::vector<std::string> origins;
  Report made;
  for (const Results& results : all) {
    samples.insert(samples.end(), results.rows.begin(), results.rows.end());
    latency.insert(latency.end(), results.latency.begin(), results.latency.end());
    for (auto& warning : warnings_of(results)) made.warnings.push_back(std::move(warning));
    origins.push_back(origin(results));
  }
  if (options.format == Format::kCsv) {
    made.text = csv(options, cells, samples, latency);
    return made;
  }
  made.text = remarks(made.warnings, options.format) + remarks(origins, options.format);
  for (const Grid& grid : tables(options, cells, samples, latency)) {
    made.text += fmt::format("\n{}", render(grid, options.format));
  }
  return made;
}

}  // namespace kvbench
