#include "harness/report/worst.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace kvbench {
namespace {

constexpr size_t kMostSamples = 3, kMostBytes = 300;

using SampleKey = std::tuple<std::string, std::string, int64_t>;  // task, hash, number

struct Candidate {
  const SampleRow* row;
  const SampleRow* full;  // of the same sample; may be null
  double loss;            // points; the largest there is for a failed sample
};

Candidate candidate(const SampleRow& row, const SampleRow* full) {
  constexpr double kAll = 100;
  if (!row.error.empty()) return {&row, full, kAll + 1};
  const bool has_full = full != nullptr && full->error.empty();
  return {&row, full, (has_full ? full->score : kAll) - row.score};
}

}  // namespace

std::vector<WorstSample> worst_of(const Block& block) {
  std::map<SampleKey, const SampleRow*> full;
  for (const Measured* measured : block.cells) {
    if (!is_full(measured->cell)) continue;
    for (const SampleRow& row : measured->rows) {
      full[{row.task, row.sample_hash, row.sample_id}] = &row;
    }
  }
  std::map<std::pair<std::string, std::string>, std::vector<Candidate>> of_choice;
  for (const Measured* measured : block.cells) {
    if (is_full(measured->cell)) continue;
    auto& candidates = of_choice[{measured->cell.policy, ratio_text(measured->cell.ratio)}];
    for (const SampleRow& row : measured->rows) {
      const auto other = full.find({row.task, row.sample_hash, row.sample_id});
      candidates.push_back(candidate(row, other == full.end() ? nullptr : other->second));
    }
  }
  std::vector<WorstSample> worst;
  for (auto& [choice, candidates] : of_choice) {
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Candidate& a, const Candidate& b) { return a.loss > b.loss; });
    candidates.resize(std::min(candidates.size(), kMostSamples));
    for (const auto& [row, other, loss] : candidates) {
      if (loss > 0) worst.push_back({row, other});
    }
  }
  return worst;
}

std::vector<Grid> worst_samples(const std::vector<Block>& blocks) {
  std::vector<Grid> grids;
  for (const Block& block : blocks) {
    Grid grid;
    grid.title = "Worst samples, " + block.title;
    grid.columns = {{"policy", false},  {"ratio"},  {"task", false}, {"sample"},
                    {"score"},          {"full's"}, {"said", false}, {"full said", false},
                    {"expected", false}};
    for (const auto& [row, other] : worst_of(block)) {
      const bool failed = !row->error.empty();
      grid.rows.push_back({row->policy, ratio_text(row->ratio), row->task,
                           fmt::format("{}", row->sample_id), shown(row->score, Style::kScore),
                           shown(other == nullptr ? NAN : other->score, Style::kScore),
                           one_line(failed ? "failed: " + row->error : row->prediction, kMostBytes),
                           one_line(other == nullptr ? "" : other->prediction, kMostBytes),
                           one_line(row->references, kMostBytes)});
    }
    if (!grid.rows.empty()) grids.push_back(std::move(grid));
  }
  return grids;
}

}  // namespace kvbench
