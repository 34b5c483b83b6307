// grade: scores stored predictions without a model.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/base/error.h"
#include "harness/cli/verbs.h"
#include "tasks/metrics.h"
#include "tasks/ruler/string_match.h"

namespace kvbench {
namespace {

using nlohmann::json;

json read_cases(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw_input_error("{}: cannot be read", file);
  json content;
  try {
    content = json::parse(in);
  } catch (const json::parse_error& e) {
    throw_input_error("{}: not valid JSON: {}", file, e.what());
  }
  const json& cases = content.is_object() && content.contains("cases") ? content["cases"] : content;
  if (!cases.is_array()) throw_input_error("{}: expected a list of cases", file);
  return cases;
}

// {metric, prediction, ground_truths}: one score in 0..1.
std::string grade_metric_case(const json& item) {
  const auto references = item.at("ground_truths").get<std::vector<std::string>>();
  const double score = grade_share(item.at("metric").get<std::string>(),
                                   item.at("prediction").get<std::string>(), references);
  return fmt::format("{:.17g}\n", score);
}

// {samples: [{pred, refs}]}: the task's two RULER scores.
std::string grade_ruler_case(const json& item) {
  std::vector<ruler::GradedSample> samples;
  for (const auto& sample : item.at("samples")) {
    samples.push_back(
        {sample.at("pred").get<std::string>(), sample.at("refs").get<std::vector<std::string>>()});
  }
  return fmt::format("{} {}\n", ruler::task_score("string_match_all", samples),
                     ruler::task_score("string_match_part", samples));
}

void grade_file(const std::string& file) {
  std::string lines;  // printed when every case could be graded
  int64_t number = 0;
  for (const auto& item : read_cases(file)) {
    ++number;
    try {
      const bool is_ruler = item.is_object() && item.contains("samples");
      lines += is_ruler ? grade_ruler_case(item) : grade_metric_case(item);
    } catch (const json::exception& e) {
      throw_input_error(
          "{}: case {}: expected {{samples: [{{pred, refs}}]}} or {{metric, prediction, "
          "ground_truths}}: {}",
          file, number, e.what());
    } catch (const InputError& e) {
      throw_input_error("{}: case {}: {}", file, number, e.what());
    }
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
