#include "harness/report/choices.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "harness/report/latency_table.h"
#include "harness/report/summary.h"

namespace kvbench {
namespace {

using Key = std::pair<std::string, std::string>;  // policy and ratio as tables write them

Key key_of(const TableRow& row) { return {row.text("policy"), row.text("ratio")}; }

int64_t count(const TableRow& row, const std::string& column) {
  return std::llround(row.number(column));
}

// Sets the times of `choice` from the measurements of its policy on the block's model.
void measure(Choice& choice, const Key& key, const Block& block, const RunInfo& run,
             const std::vector<TableRow>& latency) {
  const auto distance = [&](int64_t tokens) {
    return std::abs(static_cast<double>(tokens) - static_cast<double>(block.length));
  };
  for (const TableRow& row : latency) {
    const int64_t tokens = count(row, "context_tokens");
    if (key_of(row) != key || row.text("model_hash") != run.model_hash ||
        row.text("dtype") != run.dtype || count(row, "batch") != 1 ||
        std::isnan(row.number("tpot_ms"))) {
      continue;
    }
    const bool is_nearer =
        choice.latency_tokens == 0 || distance(tokens) < distance(choice.latency_tokens) ||
        (distance(tokens) == distance(choice.latency_tokens) && tokens > choice.latency_tokens);
    if (!is_nearer) continue;
    choice.latency_tokens = tokens;
    choice.tpot_ms = row.number("tpot_ms");
    choice.ttft_ms = row.number("ttft_ms");
  }
}

}  // namespace

std::vector<Choices> choices_of(const Joined& joined, const std::vector<Block>& blocks) {
  const Table latency_lines = latency_table(joined);
  const std::vector<TableRow> latency = rows_of(latency_lines);
  std::vector<Choices> all;
  for (const Block& block : blocks) {
    Choices& choices = all.emplace_back();
    choices.block = &block;
    const auto is_full_cell = [](const Measured* measured) { return is_full(measured->cell); };
    const auto full = std::find_if(block.cells.begin(), block.cells.end(), is_full_cell);
    const std::string full_name = full == block.cells.end() ? "" : (*full)->cell.policy;
    const Table summary = summary_table({block});
    for (const TableRow& row : rows_of(summary)) {
      if (row.text("task") != "average") continue;
      Choice choice;
      choice.policy = row.text("policy");
      choice.ratio = row.number("ratio");
      choice.kept_ratio = row.number("kept_ratio");
      choice.removed = std::isnan(choice.ratio) ? 1 - choice.kept_ratio : choice.ratio;
      choice.score = {row.number("score"), row.number("ci_low"), row.number("ci_high")};
      choice.difference = {row.number("vs_full"), row.number("vs_full_low"),
                           row.number("vs_full_high")};
      choice.kv_bytes = row.number("kv_bytes_allocated");
      choice.n = count(row, "n");
      choice.n_contexts = count(row, "n_contexts");
      choice.n_errors = count(row, "n_errors");
      const Key key = key_of(row);
      measure(choice, key, block, joined.runs[block.cells[0]->run], latency);
      if (choice.policy == full_name) {
        choices.full = choice;
      } else {
        choices.policies.push_back(choice);
      }
    }
  }
  return all;
}

std::vector<const Choice*> by_budget(const std::vector<Choice>& choices) {
  std::vector<const Choice*> sorted;
  for (const Choice& choice : choices) {
    if (!std::isnan(choice.score.mean) && !std::isnan(choice.removed)) sorted.push_back(&choice);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [](const Choice* a, const Choice* b) {
    return a->removed != b->removed ? a->removed > b->removed : a->score.mean > b->score.mean;
  });
  return sorted;
}

}  // namespace kvbench
