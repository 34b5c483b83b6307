#include "harness/report/page_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "harness/base/error.h"
#include "harness/report/answer.h"
#include "harness/report/budgets.h"
#include "harness/report/cell_table.h"
#include "harness/report/failures.h"
#include "harness/report/latency_table.h"
#include "harness/report/load.h"
#include "harness/report/longbench_table.h"
#include "harness/report/paired.h"
#include "harness/report/summary.h"
#include "harness/report/worst.h"

namespace kvbench {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

Json value_of(const TableRow& row, const std::string& column) {
  const double value = row.number(column);
  return std::isnan(value) && !row.text(column).empty() ? Json(row.text(column)) : number(value);
}

Json blocks_json(const std::vector<Block>& blocks, const Joined& joined) {
  Json all = Json::array();
  for (size_t i = 0; i < blocks.size(); ++i) {
    all.push_back({{"block", i},
                   {"title", blocks[i].title},
                   {"length", blocks[i].length},
                   {"model", joined.runs[blocks[i].cells[0]->run].model}});
  }
  return all;
}

Json scores_json(const std::vector<Block>& blocks) {
  Json rows = Json::array();
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Table table = summary_table({blocks[i]});
    for (const TableRow& line : rows_of(table)) {
      Json& row = rows.emplace_back();
      row["block"] = i;
      for (const char* column : {"policy", "ratio", "task", "score", "ci_low", "ci_high", "n",
                                 "kept_ratio", "kv_bytes_allocated"}) {
        row[column] = value_of(line, column);
      }
    }
  }
  return rows;
}

Json table_json(const Grid& grid, bool is_long) {
  Json table = {{"title", grid.title}, {"columns", Json::array()}, {"is_long", is_long}};
  for (const auto& column : grid.columns) {
    table["columns"].push_back({{"name", column.name}, {"is_number", column.is_number}});
  }
  table["rows"] = grid.rows;
  return table;
}

Json tables(const Joined& joined, const std::vector<Block>& blocks) {
  Json all = Json::array();
  const auto add = [&](const std::vector<Grid>& grids, bool is_long) {
    for (const Grid& grid : grids) {
      if (!grid.rows.empty()) all.push_back(table_json(grid, is_long));
    }
  };
  add(summary_grids(blocks), false);
  add(longbench_table(blocks).for_people(), false);
  add(longbench_e_table(blocks).for_people(), false);
  add(latency_table(joined).for_people(), false);
  add(memory_table(joined).for_people(), false);
  add({failure_table(joined)}, false);
  add(summary_table(blocks).for_people(), true);
  for (const Block& block : blocks) {
    const auto is_full_cell = [](const Measured* measured) { return is_full(measured->cell); };
    const auto full = std::find_if(block.cells.begin(), block.cells.end(), is_full_cell);
    if (full != block.cells.end()) {
      add(paired_table({block}, (*full)->cell.policy).for_people(), true);
    }
  }
  add(worst_samples(blocks), true);
  add(cell_table(blocks).for_people(), true);
  return all;
}

Json choices_json(const std::vector<Choices>& all) {
  Json rows = Json::array();
  for (size_t i = 0; i < all.size(); ++i) {
    std::vector<Choice> each = all[i].policies;
    if (all[i].full) each.insert(each.begin(), *all[i].full);
    for (const Choice& choice : each) {
      rows.push_back({{"block", i},
                      {"policy", choice.policy},
                      {"ratio", number(choice.ratio)},
                      {"score", number(choice.score.mean)},
                      {"ci_low", number(choice.score.low)},
                      {"ci_high", number(choice.score.high)},
                      {"n", choice.n},
                      {"kept_ratio", number(choice.kept_ratio)},
                      {"kv_bytes_allocated", number(choice.kv_bytes)},
                      {"tpot_ms", number(choice.tpot_ms)},
                      {"ttft_ms", number(choice.ttft_ms)},
                      {"latency_tokens", choice.latency_tokens}});
    }
  }
  return rows;
}

// The shares that `text` holds (SampleRow::needle_kept), a byte in hex for each head of `shape`.
Json needle_json(const std::string& text, const HeadBudgets& shape) {
  constexpr double kAll = 255;
  std::vector<double> kept;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    int byte = 0;
    const auto [end, error] = std::from_chars(&text[i], &text[i] + 2, byte, 16);
    if (error != std::errc() || end != &text[i] + 2) break;
    kept.push_back(byte / kAll);
  }
  if (kept.size() != shape.kept.size() || 2 * kept.size() != text.size()) {
    throw_input_error(
        "/samples: needle_kept: expected two hex digits for each of {} heads, got "
        "\"{}\"",
        shape.kept.size(), text);
  }
  return {{"n_layers", shape.n_layers}, {"n_kv_heads", shape.n_kv_heads}, {"kept", kept}};
}

Json worst_json(const std::vector<Block>& blocks,
                const std::map<std::string, HeadBudgets>& of_cell) {
  constexpr size_t kMostBytes = 1000;
  Json all = Json::array();
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (const auto& [row, full] : worst_of(blocks[i])) {
      const auto shape = of_cell.find(row->cell_id);
      const bool has_needle = !row->needle_kept.empty() && shape != of_cell.end();
      all.push_back(
          {{"block", i},
           {"policy", row->policy},
           {"ratio", number(row->ratio)},
           {"task", row->task},
           {"sample", row->sample_id},
           {"score", number(row->score)},
           {"full_score", number(full == nullptr ? NAN : full->score)},
           {"said",
            one_line(row->error.empty() ? row->prediction : "failed: " + row->error, kMostBytes)},
           {"full_said", one_line(full == nullptr ? "" : full->prediction, kMostBytes)},
           {"expected", one_line(row->references, kMostBytes)},
           {"prompt_tail", row->prompt_tail},
           {"needle", has_needle ? needle_json(row->needle_kept, shape->second) : Json()}});
    }
  }
  return all;
}

// Adds `budgets` and `even_budgets`: of each block, policy and ratio the mean over its cells.
void add_budgets(Json& page, const std::vector<Block>& blocks,
                 const std::map<std::string, HeadBudgets>& of_cell) {
  page["budgets"] = Json::array();
  std::set<std::string> even;
  for (size_t i = 0; i < blocks.size(); ++i) {
    std::vector<std::pair<const CellRow*, std::vector<const HeadBudgets*>>> lines;
    for (const Measured* measured : blocks[i].cells) {
      const CellRow& cell = measured->cell;
      const auto budgets = of_cell.find(cell.cell_id);
      if (budgets == of_cell.end()) continue;
      auto line = std::find_if(lines.begin(), lines.end(), [&](const auto& each) {
        return each.first->policy == cell.policy &&
               ratio_text(each.first->ratio) == ratio_text(cell.ratio);
      });
      if (line == lines.end()) line = lines.insert(lines.end(), {&cell, {}});
      line->second.push_back(&budgets->second);
    }
    for (const auto& [cell, parts] : lines) {
      const HeadBudgets budget = mean_budgets(parts);
      if (budget.is_even()) {
        even.insert(cell->policy);
        continue;
      }
      page["budgets"].push_back({{"block", i},
                                 {"policy", cell->policy},
                                 {"ratio", number(cell->ratio)},
                                 {"n_layers", budget.n_layers},
                                 {"n_kv_heads", budget.n_kv_heads},
                                 {"kept", budget.kept}});
    }
  }
  page["even_budgets"] = even;
}

}  // namespace

std::string page_data(const std::vector<std::filesystem::path>& files, bool regrade) {
  const Loaded loaded = load(files, regrade);
  const auto blocks = blocks_of(loaded.joined);
  const auto choices = choices_of(loaded.joined, blocks);
  std::vector<std::string> names, answers;
  std::map<std::string, HeadBudgets> budgets;
  for (const auto& file : files) {
    names.push_back(file.stem().string());
    try {
      budgets.merge(head_budgets(read_results(file)));
    } catch (const std::runtime_error& e) {
      throw_input_error("{}", e.what());
    }
  }
  for (const Choices& each : choices) answers.push_back(answer(each));
  Json page = {{"title", fmt::format("kvbench: {}", fmt::join(names, ", "))},
               {"question", kQuestion},
               {"answers", answers},
               {"warnings", loaded.joined.warnings},
               {"origins", loaded.origins},
               {"tables", tables(loaded.joined, blocks)},
               {"blocks", blocks_json(blocks, loaded.joined)},
               {"scores", scores_json(blocks)},
               {"choices", choices_json(choices)},
               {"worst", worst_json(blocks, budgets)}};
  add_budgets(page, blocks, budgets);
  return page.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvbench
