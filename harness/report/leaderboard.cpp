#include "harness/report/leaderboard.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

namespace kvbench {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kRuler = "ruler/", *kLongBench = "longbench/";

// The cells of one folder.
struct Part {
  std::string dataset, data;
  std::vector<const Measured*> cells;

  const CellRow& cell() const { return cells[0]->cell; }
};

// The name behind "ruler/" or "longbench/".
std::string set_of(const CellRow& cell) { return cell.task.substr(cell.task.find('/') + 1); }

std::string press_of(const CellRow& cell) { return is_full(cell) ? "no_press" : cell.policy; }

// As Python rounds for people: two decimals.
double rounded(double score) { return std::round(100 * score) / 100; }

std::string predictions(const Part& part) {
  const bool is_ruler = part.dataset == "ruler";
  Grid grid;
  grid.columns = {{"task"}, {is_ruler ? "answer" : "answers"}};
  if (!is_ruler) grid.columns.insert(grid.columns.end(), {{"all_classes"}, {"length"}});
  grid.columns.insert(grid.columns.end(), {{"predicted_answer"}, {"compression_ratio"}});
  for (const Measured* measured : part.cells) {
    for (const SampleRow& row : measured->rows) {
      if (!row.error.empty()) continue;
      auto& line = grid.rows.emplace_back();
      line = {set_of(measured->cell), row.references};
      if (!is_ruler) line.insert(line.end(), {row.classes, fmt::format("{}", row.words)});
      line.insert(line.end(), {row.prediction, fmt::format("{}", row.ratio)});
    }
  }
  return render(grid, Format::kCsv);
}

std::string metrics(const Part& part) {
  if (part.dataset != "ruler") return Json(rounded(part.cell().mean)).dump(4);
  Json scores;
  for (const Measured* measured : part.cells) {
    scores[set_of(measured->cell)] = {{"string_match", rounded(measured->cell.mean)}};
  }
  return scores.dump(4);
}

// YAML whose texts are written as JSON writes them, which YAML reads.
std::string config(const Part& part, const RunInfo& run) {
  const CellRow& cell = part.cell();
  const Json values = {{"dataset", part.dataset},
                       {"data_dir", part.data},
                       {"model", run.model},
                       {"device", run.device},
                       {"press_name", press_of(cell)},
                       {"compression_ratio", cell.ratio},
                       {"key_channel_compression_ratio", nullptr},
                       {"head_compression_ratio", nullptr},
                       {"threshold", nullptr},
                       {"fraction", 1.0},
                       {"max_new_tokens", nullptr},
                       {"max_context_length", nullptr},
                       {"query_aware", cell.compress == "prompt"},
                       {"needle_depth", nullptr},
                       {"compression_interval", nullptr},
                       {"target_size", nullptr},
                       {"hidden_states_buffer_size", nullptr},
                       {"output_dir", "./results"},
                       {"log_level", "INFO"},
                       {"model_kwargs", {{"dtype", run.dtype}}},
                       {"trust_remote_code", false},
                       {"press_init_command", fmt::format("kvbench: scorer {}, allocator {}",
                                                          cell.scorer, cell.allocator)},
                       {"seed", cell.seed},
                       {"fp8", false}};
  std::string text;
  for (const auto& [key, value] : values.items()) {
    text += fmt::format("{}: {}\n", key, value.dump());
  }
  return text;
}

std::string folder_name(const Part& part, std::string model) {
  for (size_t at = 0; (at = model.find('/', at)) != std::string::npos;) model.replace(at, 1, "--");
  std::string name = fmt::format("{}__{}__{}__{}__{:.2f}", part.dataset, part.data, model,
                                 press_of(part.cell()), part.cell().ratio);
  if (part.cell().compress == "prompt") name += "__query_aware";
  return name;
}

// Sorts the cells of a block into folders; what has no place goes into `left_out`.
std::vector<Part> parts_of(const Block& block, std::set<std::string>& left_out) {
  std::vector<Part> parts;
  std::vector<std::tuple<std::string, std::string, std::string>> keys;
  for (const Measured* measured : block.cells) {
    const CellRow& cell = measured->cell;
    const bool is_ruler = cell.task.starts_with(kRuler);
    if (!is_ruler && (!cell.task.starts_with(kLongBench) || cell.task.ends_with("_e"))) {
      left_out.insert(cell.task);
      continue;
    }
    if (std::isnan(cell.ratio)) {
      left_out.insert(cell.policy + " (a budget of its own)");
      continue;
    }
    if (cell.n == 0) continue;
    const std::string data = is_ruler ? fmt::format("{}", block.length) : set_of(cell);
    const std::tuple key(data, cell.policy, ratio_text(cell.ratio));
    const auto at = std::find(keys.begin(), keys.end(), key);
    if (at == keys.end()) {
      keys.push_back(key);
      parts.push_back({is_ruler ? "ruler" : "longbench", data, {}});
    }
    parts[static_cast<size_t>(std::find(keys.begin(), keys.end(), key) - keys.begin())]
        .cells.push_back(measured);
  }
  return parts;
}

}  // namespace

Leaderboard leaderboard(const Joined& joined, const std::vector<Block>& blocks) {
  Leaderboard board;
  std::set<std::string> left_out, names;
  for (const Block& block : blocks) {
    for (const Part& part : parts_of(block, left_out)) {
      const RunInfo& run = joined.runs[part.cells[0]->run];
      const std::string first = folder_name(part, run.model);
      std::string name = first;
      for (int i = 1; !names.insert(name).second; ++i) name = fmt::format("{}/{}", first, i);
      board.folders.push_back({name, predictions(part), metrics(part), config(part, run)});
    }
  }
  for (const auto& what : left_out) {
    board.remarks.push_back(fmt::format("the leaderboard's layout has no place for {}", what));
  }
  return board;
}

}  // namespace kvbench
