// grade: scores stored predictions without a model.
#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/cli/verbs.h"
#include "tasks/metrics.h"
#include "tasks/ruler/string_match.h"

namespace kvbench {
namespace {

// What `grade` answers; its complaints with the place of the case.
template <class Grade>
auto graded(const JsonView& item, Grade&& grade) {
  try {
    return grade();
  } catch (const InputError& e) {
    item.fail(e.what());
  }
}

// {metric, prediction, ground_truths, all_classes}: one score in 0..1.
std::string grade_metric_case(const JsonView& item) {
  const std::string& metric = item.at("metric").text();
  Answered answered{item.at("prediction").text(), item.at("ground_truths").texts()};
  if (const auto classes = item.find("all_classes")) answered.classes = classes->texts();
  return graded(item, [&] { return fmt::format("{:.17g}\n", grade_share(metric, answered)); });
}

// {samples: [{pred, refs}]}: the task's two RULER scores.
std::string grade_ruler_case(const JsonView& item) {
  const JsonView list = item.at("samples");
  std::vector<ruler::GradedSample> samples;
  for (size_t i = 0; i < list.size(); ++i) {
    samples.push_back({list[i].at("pred").text(), list[i].at("refs").texts()});
  }
  return graded(item, [&] {
    return fmt::format("{} {}\n", ruler::task_score("string_match_all", samples),
                       ruler::task_score("string_match_part", samples));
  });
}

// A list of cases, or {cases: [...]}.
void grade_file(const std::string& file) {
  const nlohmann::json content = read_json(file);
  const bool named = content.is_object() && content.contains("cases");
  const nlohmann::json& cases = named ? content["cases"] : content;
  if (!cases.is_array()) throw_input_error("{}: expected a list of cases", file);
  std::string lines;  // printed when every case could be graded
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonView item(cases[i], fmt::format("{}: case {}", file, i + 1));
    lines += item.find("samples") ? grade_ruler_case(item) : grade_metric_case(item);
  }
  fmt::print("{}", lines);
}

}  // namespace

void add_grade(CLI::App& app) {
  auto* verb = app.add_subcommand("grade", "grade stored predictions without a model");
  auto file = std::make_shared<std::string>();
  verb->add_option("file", *file, "cases, JSON")->required();
  verb->callback([file] { grade_file(*file); });
}

}  // namespace kvbench
