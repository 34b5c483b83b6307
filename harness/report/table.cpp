#include "harness/report/table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "harness/results/stats.h"

namespace kvbench {
namespace {

constexpr const char* kNothing = "-";

std::string number(double value, int decimals) {
  return std::isnan(value) ? kNothing : fmt::format("{:.{}f}", value, decimals);
}

std::string percent(double share) {
  return std::isnan(share) ? kNothing : fmt::format("{:.1f} %", 100 * share);
}

std::string mebibytes(double bytes) { return number(bytes / (1024 * 1024), 2); }

double nominal_bytes(const CellRow& cell) { return (1 - cell.ratio) * cell.kv_bytes_full; }

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? NAN : sum / static_cast<double>(values.size());
}

template <class T>
size_t index_of(std::vector<T>& seen, const T& value) {
  const auto it = std::find(seen.begin(), seen.end(), value);
  if (it != seen.end()) return static_cast<size_t>(it - seen.begin());
  seen.push_back(value);
  return seen.size() - 1;
}

// One line for reading: no line breaks, at most `most` bytes, cut between characters.
std::string shortened(std::string text, size_t most) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 32; }, ' ');
  if (text.size() <= most) return text;
  size_t end = most - 3;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

using BlockKey = std::tuple<std::string, std::string, int64_t>;  // model, compress, max_length

// The table of one block; `cells` are those of the block in order.
Grid summary_table(const std::vector<const CellRow*>& cells) {
  std::vector<std::string> tasks;
  std::vector<std::pair<std::string, double>> lines;  // policy, ratio
  std::map<std::pair<size_t, size_t>, const CellRow*> at;
  for (const CellRow* cell : cells) {
    const size_t line = index_of(lines, {cell->policy, cell->ratio});
    at[{line, index_of(tasks, cell->task)}] = cell;
  }
  Grid grid;
  grid.columns = {{"policy", false}, {"ratio"}, {"kept"}, {"KV MiB"}};
  for (const auto& task : tasks) grid.columns.push_back({task});
  grid.columns.push_back({"average"});
  grid.columns.push_back({"vs full"});

  std::vector<double> averages;
  double full = NAN;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::vector<double> scores, kept, bytes;
    std::vector<std::string> row = {lines[i].first, fmt::format("{}", lines[i].second)};
    for (size_t j = 0; j < tasks.size(); ++j) {
      const auto cell = at.find({i, j});
      if (cell == at.end()) continue;
      scores.push_back(cell->second->mean);
      kept.push_back(cell->second->kept_ratio);
      bytes.push_back(cell->second->kv_bytes_allocated);
    }
    row.push_back(percent(mean(kept)));
    row.push_back(mebibytes(mean(bytes)));
    for (size_t j = 0; j < tasks.size(); ++j) {
      const auto cell = at.find({i, j});
      row.push_back(cell == at.end() ? kNothing : number(cell->second->mean, 1));
    }
    averages.push_back(scores.size() == tasks.size() ? mean(scores) : NAN);
    if (lines[i].first == "full") full = averages.back();
    grid.rows.push_back(std::move(row));
  }
  for (size_t i = 0; i < lines.size(); ++i) {
    grid.rows[i].push_back(number(averages[i], 1));
    const double distance = averages[i] - full;
    grid.rows[i].push_back(std::isnan(distance) ? kNothing : fmt::format("{:+.1f}", distance));
  }
  return grid;
}

}  // namespace

Grid cell_table(const std::vector<ModelCell>& cells) {
  const auto differs = [&](const ModelCell& c) { return c.model != cells.front().model; };
  const bool several_models = std::any_of(cells.begin(), cells.end(), differs);
  Grid grid;
  grid.title =
      "Cells: score (0 to 100) with 95 % interval, KV cache per sequence in MiB, "
      "median times";
  grid.columns = {{"model", false},  {"task", false}, {"length"},     {"compress", false},
                  {"policy", false}, {"ratio"},       {"score"},      {"low"},
                  {"high"},          {"n"},           {"failed"},     {"kept"},
                  {"asked"},         {"KV nominal"},  {"logical"},    {"allocated"},
                  {"prefill ms"},    {"score ms"},    {"compact ms"}, {"decode ms"}};
  for (const auto& [model, cell] : cells) {
    if (cell.n + cell.n_errors == 0) continue;
    grid.rows.push_back({several_models ? model : "",
                         cell.task,
                         fmt::format("{}", cell.max_length),
                         cell.compress,
                         cell.policy,
                         fmt::format("{}", cell.ratio),
                         number(cell.mean, 1),
                         number(cell.ci_low, 1),
                         number(cell.ci_high, 1),
                         fmt::format("{}", cell.n),
                         cell.n_errors == 0 ? "" : fmt::format("{}", cell.n_errors),
                         percent(cell.kept_ratio),
                         percent(1 - cell.ratio),
                         mebibytes(nominal_bytes(cell)),
                         mebibytes(cell.kv_bytes_logical),
                         mebibytes(cell.kv_bytes_allocated),
                         std::isnan(cell.prefill_ms) ? "" : number(cell.prefill_ms, 1),
                         std::isnan(cell.score_ms) ? "" : number(cell.score_ms, 1),
                         std::isnan(cell.compact_ms) ? "" : number(cell.compact_ms, 1),
                         std::isnan(cell.decode_ms) ? "" : number(cell.decode_ms, 1)});
  }
  if (!grid.rows.empty()) grid.drop_columns_of("");
  return grid;
}

std::vector<Grid> summary_tables(const std::vector<ModelCell>& cells) {
  std::vector<BlockKey> keys;
  std::vector<std::vector<const CellRow*>> blocks;
  std::vector<std::string> models;
  for (const auto& [model, cell] : cells) {
    if (cell.n == 0) continue;
    index_of(models, model);
    const size_t block = index_of(keys, {model, cell.compress, cell.max_length});
    blocks.resize(keys.size());
    blocks[block].push_back(&cell);
  }
  std::vector<Grid> grids;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto& [model, compress, max_length] = keys[i];
    grids.push_back(summary_table(blocks[i]));
    grids.back().title = fmt::format("Mean score, {}length {}, compress {}",
                                     models.size() > 1 ? model + ", " : "", max_length, compress);
  }
  return grids;
}

Grid latency_table(const std::vector<LatencyRow>& rows) {
  std::vector<std::tuple<int64_t, std::string, double>> lines;  // context, policy, ratio
  std::vector<std::vector<const LatencyRow*>> repeats;
  for (const LatencyRow& row : rows) {
    const size_t line = index_of(lines, {row.context_tokens, row.policy, row.ratio});
    if (line == repeats.size()) repeats.emplace_back();
    repeats[line].push_back(&row);
  }
  Grid grid;
  grid.title = "Isolated: one policy alone, medians over repeats; KV cache and peak memory in MiB";
  grid.columns = {{"context"},  {"policy", false}, {"ratio"},      {"n"},       {"prefill ms"},
                  {"score ms"}, {"allocate ms"},   {"compact ms"}, {"TTFT ms"}, {"TPOT ms"},
                  {"p95"},      {"KV MiB"},        {"peak MiB"}};
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto middle = [&](auto field) {
      std::vector<double> values;
      for (const LatencyRow* row : repeats[i]) values.push_back(static_cast<double>(row->*field));
      return median(values);
    };
    const auto& [context, policy, ratio] = lines[i];
    grid.rows.push_back(
        {fmt::format("{}", context), policy, fmt::format("{}", ratio),
         fmt::format("{}", repeats[i].size()), number(middle(&LatencyRow::prefill_ms), 1),
         number(middle(&LatencyRow::score_ms), 1), number(middle(&LatencyRow::allocate_ms), 1),
         number(middle(&LatencyRow::compact_ms), 1), number(middle(&LatencyRow::ttft_ms), 1),
         number(middle(&LatencyRow::tpot_ms), 2), number(middle(&LatencyRow::tpot_p95), 2),
         mebibytes(middle(&LatencyRow::kv_bytes_allocated)),
         mebibytes(middle(&LatencyRow::peak_rss_bytes) + middle(&LatencyRow::peak_cuda_bytes))});
  }
  return grid;
}

Grid memory_table(const std::vector<LatencyRow>& rows) {
  Grid grid;
  grid.title =
      "KV memory, isolated: nominal = (1 - ratio) x full; logical = entries kept; allocated = "
      "buffers"
      " held; peak = most alive at once while prefilling";
  grid.columns = {{"context"},     {"policy", false}, {"ratio"},         {"full MiB"},
                  {"nominal MiB"}, {"logical MiB"},   {"allocated MiB"}, {"allocated / nominal"},
                  {"peak MiB"},    {"peak / full"}};
  std::vector<std::tuple<int64_t, std::string, double>> lines;
  for (const LatencyRow& row : rows) {
    const auto n_lines = lines.size();
    if (index_of(lines, {row.context_tokens, row.policy, row.ratio}) < n_lines) continue;
    const auto full = static_cast<double>(row.kv_bytes_full);
    const auto allocated = static_cast<double>(row.kv_bytes_allocated);
    const auto peak = static_cast<double>(row.peak_kv_bytes);
    const double nominal = (1 - row.ratio) * full;
    grid.rows.push_back({fmt::format("{}", row.context_tokens), row.policy,
                         fmt::format("{}", row.ratio), mebibytes(full), mebibytes(nominal),
                         mebibytes(static_cast<double>(row.kv_bytes_logical)), mebibytes(allocated),
                         number(allocated / nominal, 3), mebibytes(peak), number(peak / full, 3)});
  }
  return grid;
}

Grid sample_table(const std::vector<SampleRow>& rows) {
  Grid grid;
  grid.title = "Samples";
  grid.columns = {{"task", false},
                  {"length"},
                  {"compress", false},
                  {"policy", false},
                  {"ratio"},
                  {"sample"},
                  {"score"},
                  {"kept"},
                  {"prediction", false},
                  {"references", false},
                  {"error", false}};
  for (const SampleRow& row : rows) {
    grid.rows.push_back({row.task, fmt::format("{}", row.max_length), row.compress, row.policy,
                         fmt::format("{}", row.ratio), fmt::format("{}", row.sample_id),
                         number(row.score, 1), percent(row.kept_ratio),
                         shortened(row.prediction, 60), shortened(row.references, 40),
                         shortened(row.error, 60)});
  }
  if (!grid.rows.empty()) grid.drop_columns_of("");
  return grid;
}

}  // namespace kvbench
