// LongBench's metrics against the numbers of the official code (reference folder, longbench/).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "harness/base/json_view.h"
#include "harness/golden/golden.h"
#include "tasks/metrics.h"

namespace kvbench {
namespace {

// The Chinese metrics that cut words need a dictionary; they are not here yet.
const std::set<std::string> kNotYet = {"qa_f1_zh_score", "rouge_zh_score"};

TEST(LongBenchGolden, Metrics) {
  const auto file = golden::reference_root() / "longbench/metrics.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const nlohmann::json content = read_json(file);
  const JsonView cases = JsonView(content, file.string()).at("cases");
  size_t compared = 0, left_out = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const JsonView item = cases[i];
    const std::string& metric = item.at("metric").text();
    if (kNotYet.contains(metric)) {
      ++left_out;
      continue;
    }
    SCOPED_TRACE(fmt::format("case {}, {}: {}", i, metric, item.at("note").text()));
    Answered answered{item.at("prediction").text(), item.at("ground_truths").texts()};
    if (const auto classes = item.find("all_classes")) answered.classes = classes->texts();
    EXPECT_EQ(grade_share(metric, answered), item.at("score").value().get<double>());
    const nlohmann::json& each = item.at("per_answer").value();
    ASSERT_EQ(each.size(), answered.references.size());
    for (size_t r = 0; r < each.size(); ++r) {
      EXPECT_EQ(
          grade_share(metric, {answered.prediction, {answered.references[r]}, answered.classes}),
          each[r].get<double>());
    }
    if (const auto other = item.find("score_levenshtein")) {
      Params params("metric", "", {{"backend", "levenshtein"}});
      EXPECT_EQ(Registry<Metric>::instance().find(metric).make(params)->share(answered),
                other->value().get<double>());
    }
    ++compared;
  }
  EXPECT_EQ(compared + left_out, cases.size());
  EXPECT_GT(compared, 0u);
}

}  // namespace
}  // namespace kvbench
