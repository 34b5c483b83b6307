// grade: scores stored predictions without a model.
#include <fmt/format.h>

#include "harness/base/error.h"
#include "harness/base/json_view.h"
#include "harness/base/names.h"
#include "harness/cli/verbs.h"
#include "tasks/grading.h"
#include "tasks/longbench/scores.h"
#include "tasks/metrics.h"
#include "tasks/ruler/string_match.h"

namespace kvbench {
namespace {

using nlohmann::ordered_json;

// What `grade` answers; its complaints with the place of the case.
template <class Grade>
auto graded(const JsonView& item, Grade&& grade) {
  try {
    return grade();
  } catch (const InputError& e) {
    item.fail(e.what());
  }
}

// {metric, prediction, ground_truths, all_classes, params: {KEY: TEXT}}: one score in 0..1.
std::string grade_metric_case(const JsonView& item) {
  const std::string& metric = item.at("metric").text();
  Answered answered{item.at("prediction").text(), item.at("ground_truths").texts()};
  if (const auto classes = item.find("all_classes")) answered.classes = classes->texts();
  std::vector<Params::Given> given;
  if (const auto params = item.find("params")) {
    if (!params->value().is_object()) params->fail_type("an object");
    for (const auto& [key, value] : params->value().items()) {
      given.push_back({key, params->at(key).text()});
    }
  }
  return graded(item,
                [&] { return fmt::format("{:.17g}\n", grade_share(metric, answered, given)); });
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

ordered_json number_or_null(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

const longbench::LongBenchSet& find_set(const std::vector<longbench::LongBenchSet>& sets,
                                        const JsonView& item) {
  const JsonView name = item.at("dataset");
  for (const auto& set : sets) {
    if (set.name == name.text()) return set;
  }
  name.fail(unknown_name("set", name.text(), longbench::longbench_set_names()));
}

// {dataset, rows: [{pred, answers, all_classes, length}]}: the set's scores in percent by the
// official scorer and by kvpress's, and, where every row says its length, LongBench-E's.
ordered_json grade_set(const JsonView& item, const longbench::LongBenchSet& set) {
  const JsonView rows = item.at("rows");
  std::vector<double> official, kvpress;
  std::vector<int64_t> lengths;
  std::vector<std::string> classes;  // of the last row, for all of them, as eval.py has it
  if (rows.size() > 0) {
    if (const auto last = rows[rows.size() - 1].find("all_classes")) classes = last->texts();
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const JsonView row = rows[i];
    const std::string& prediction = row.at("pred").text();
    const std::vector<std::string> answers = row.at("answers").texts();
    const auto share = [&](bool strip_start) {
      const Grading grading{set.metric, {}, strip_start, set.first_line};
      const std::string part = graded_part(grading, prediction);
      return graded(row, [&] { return grade_share(set.metric, {part, answers, classes}); });
    };
    official.push_back(share(false));
    kvpress.push_back(share(true));
    if (const auto length = row.find("length")) lengths.push_back(length->integer(0, INT64_MAX));
  }
  ordered_json scores = {{"dataset", set.name}};
  scores["score"] = graded(item, [&] { return longbench::set_score(official); });
  scores["score_kvpress"] = longbench::set_score(kvpress);
  if (lengths.size() == official.size()) {
    const auto buckets = longbench::bucket_scores(official, lengths);
    for (size_t b = 0; b < buckets.size(); ++b) {
      scores["score_e"][longbench::kBuckets[b]] = number_or_null(buckets[b]);
    }
  }
  return scores;
}

// {datasets: [...]}: a line of JSON for each set, and one for the averages over the official
// scores.
std::string grade_sets(const JsonView& list, const std::string& file) {
  const std::vector<longbench::LongBenchSet> sets = longbench::load_longbench_sets();
  std::map<std::string, double> scores;
  std::string lines;
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonView item(list[i].value(), fmt::format("{}: data set {}", file, i + 1));
    const longbench::LongBenchSet& set = find_set(sets, item);
    const ordered_json graded_set = grade_set(item, set);
    if (!scores.try_emplace(set.name, graded_set["score"].get<double>()).second) {
      item.at("dataset").fail(fmt::format("{} stands here twice", set.name));
    }
    lines += graded_set.dump() + "\n";
  }
  const longbench::Averages averages = longbench::averages(scores, sets);
  ordered_json last = {{"avg_16", number_or_null(averages.avg_16)},
                       {"avg_categories", number_or_null(averages.avg_categories)},
                       {"avg_categories_zh", number_or_null(averages.avg_categories_zh)}};
  return lines + last.dump() + "\n";
}

// A list of cases, or {cases: [...]}.
std::string grade_cases(const nlohmann::json& content, const std::string& file) {
  const bool named = content.is_object() && content.contains("cases");
  const nlohmann::json& cases = named ? content["cases"] : content;
  if (!cases.is_array()) {
    throw_input_error("{}: expected a list of cases, or an object with cases or datasets", file);
  }
  std::string lines;
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonView item(cases[i], fmt::format("{}: case {}", file, i + 1));
    lines += item.find("samples") ? grade_ruler_case(item) : grade_metric_case(item);
  }
  return lines;
}

// Prints when everything could be graded.
void grade_file(const std::string& file) {
  const nlohmann::json content = read_json(file);
  const bool sets = content.is_object() && content.contains("datasets");
  fmt::print("{}", sets ? grade_sets(JsonView(content, file).at("datasets"), file)
                        : grade_cases(content, file));
}

}  // namespace

void add_grade(CLI::App& app) {
  auto* verb = app.add_subcommand("grade", "grade stored predictions without a model");
  auto file = std::make_shared<std::string>();
  verb->add_option("file", *file, "cases or LongBench data sets, JSON")->required();
  verb->callback([file] { grade_file(*file); });
}

}  // namespace kvbench
