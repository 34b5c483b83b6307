#include "harness/report/regrade.h"

#include <cmath>
#include <map>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "tasks/grading.h"

namespace kvbench {
namespace {

// Files of schema 3 name the metric alone; it was all that decided a score then.
Grading grading_of(const Results& results, const CellRow& cell) {
  const std::string place = fmt::format("{}: cell {}", results.file.string(), cell.cell_id);
  if (!cell.grading.empty()) return parse_grading(cell.grading, place);
  if (cell.metric.empty()) {
    throw_input_error("{}: does not say how it was graded (schema version {})", place,
                      results.state.schema_version);
  }
  return {.metric = cell.metric};
}

std::vector<std::string> texts_of(const std::string& list, const std::string& place) {
  if (list.empty()) return {};
  const nlohmann::json json = parse_json(list, place);
  return JsonView(json, place).texts();
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

Regraded regrade(Results& results) {
  std::map<std::string, Grading> gradings;
  for (const CellRow& cell : results.cells) gradings[cell.cell_id] = grading_of(results, cell);
  Regraded done;
  for (SampleRow& row : results.rows) {
    if (!row.error.empty()) continue;
    const Grading& grading = gradings.at(row.cell_id);
    const double score = row.score, exact = row.exact;
    try {
      const std::string place = fmt::format("sample {} of {}", row.sample_id, row.task);
      const Answered answered{row.prediction, texts_of(row.references, place),
                              texts_of(row.classes, place)};
      row.score = score_of(grading, answered);
      row.exact = exact_score_of(grading, answered);
    } catch (const InputError& e) {
      row.score = row.exact = NAN;
      row.error = fmt::format("regrading: {}", e.what());
    }
    ++done.n_rows;
    if (!same(row.score, score) || !same(row.exact, exact)) ++done.n_changed;
  }
  return done;
}

}  // namespace kvbench
