#include "tasks/grading.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "harness/base/json_view.h"
#include "tasks/metrics.h"
#include "tasks/text.h"

namespace kvbench {

std::string graded_part(const Grading& grading, const std::string& prediction) {
  std::string text = grading.strip_start ? strip_start(prediction) : prediction;
  if (!grading.first_line) return text;
  const size_t begin = text.find_first_not_of('\n');
  if (begin == text.npos) return "";
  return text.substr(begin, text.find('\n', begin) - begin);
}

double score_of(const Grading& grading, const Answered& answered) {
  Answered part = answered;
  part.prediction = graded_part(grading, answered.prediction);
  return 100.0 * grade_share(grading.metric, part, grading.parameters);
}

double exact_score_of(const Grading& grading, const Answered& answered) {
  if (!grading.exact_too) return NAN;
  Grading exact = grading;
  exact.metric = "exact_match";
  exact.parameters.clear();
  return score_of(exact, answered);
}

std::string grading_json(const Grading& grading) {
  nlohmann::ordered_json json = {{"metric", grading.metric}};
  for (const auto& given : grading.parameters) json["parameters"][given.key] = given.text;
  if (grading.strip_start) json["strip_start"] = true;
  if (grading.first_line) json["first_line"] = true;
  if (grading.exact_too) json["exact_too"] = true;
  return json.dump();
}

Grading parse_grading(const std::string& text, const std::string& place) {
  const nlohmann::json json = parse_json(text, place);
  const JsonView view(json, place);
  view.allow_only({"metric", "parameters", "strip_start", "first_line", "exact_too"});
  Grading grading;
  grading.metric = view.at("metric").text();
  if (const auto parameters = view.find("parameters")) {
    for (const auto& [key, value] : parameters->value().items()) {
      grading.parameters.push_back({key, parameters->at(key).text()});
    }
  }
  grading.strip_start = view.boolean_or("strip_start", false);
  grading.first_line = view.boolean_or("first_line", false);
  grading.exact_too = view.boolean_or("exact_too", false);
  return grading;
}

}  // namespace kvbench
