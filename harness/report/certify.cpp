#include "harness/report/certify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/report/cell_index.h"
#include "harness/report/comparison.h"
#include "harness/report/risk_control.h"

namespace kvbench {
namespace {

double loss_of(Promise::Loss loss, double full, double mine) {
  if (loss == Promise::Loss::kWorse) return mine < full ? 1 : 0;
  return std::clamp((full - mine) / 100, 0.0, 1.0);
}

// What a sample lost at one ratio, and at most up to it.
struct Lost {
  std::string context;
  double now = 0, most = 0;
};
using SampleKey = std::tuple<std::string, std::string, int64_t>;  // task, hash, number
using LostBySample = std::map<SampleKey, Lost>;

// The samples that the full cache, `mine` and everything before (unless `is_first`) answered.
void add_losses(const std::string& task, const Measured& full, const Measured& mine,
                Promise::Loss loss, bool is_first, const LostBySample& before,
                LostBySample& losses) {
  std::map<std::pair<std::string, int64_t>, double> reached;
  for (const SampleRow& row : full.rows) {
    if (row.error.empty()) reached[{row.sample_hash, row.sample_id}] = row.score;
  }
  for (const SampleRow& row : mine.rows) {
    const auto other = reached.find({row.sample_hash, row.sample_id});
    if (!row.error.empty() || other == reached.end()) continue;
    const SampleKey key{task, row.sample_hash, row.sample_id};
    const auto last = before.find(key);
    if (!is_first && last == before.end()) continue;
    const double now = loss_of(loss, other->second, row.score);
    losses[key] = {row.context_id, now, is_first ? now : std::max(now, last->second.most)};
  }
}

std::vector<double> by_context(const LostBySample& losses, double Lost::*which) {
  std::map<std::string, std::pair<double, double>> sums;
  for (const auto& [key, lost] : losses) {
    auto& [sum, count] = sums[lost.context];
    sum += lost.*which;
    ++count;
  }
  std::vector<double> means;
  for (const auto& [context, sum] : sums) means.push_back(sum.first / sum.second);
  return means;
}

// A policy's losses on some tasks, ratio by ratio.
struct Curve {
  std::vector<double> ratios;  // ascending
  std::vector<int64_t> n;      // samples
  Losses now, most;            // of the contexts
};

// As far as all the tasks go.
Curve curve_of(const CellIndex& index, const std::vector<std::string>& tasks,
               const std::string& policy, const std::string& full, Promise::Loss loss) {
  std::set<double> ratios;
  for (const CellIndex::Line& line : index.lines()) {
    if (line.policy == policy && !std::isnan(line.ratio)) ratios.insert(line.ratio);
  }
  Curve curve;
  LostBySample before;
  for (const double ratio : ratios) {
    LostBySample losses;
    for (const std::string& task : tasks) {
      const CellIndex::Line line{policy, ratio};
      const Measured* mine = index.find(task, line);
      const Measured* theirs = index.partner(task, line, full);
      if (mine == nullptr || theirs == nullptr) return curve;
      add_losses(task, *theirs, *mine, loss, curve.ratios.empty(), before, losses);
    }
    if (losses.empty()) return curve;
    curve.ratios.push_back(ratio);
    curve.n.push_back(std::ssize(losses));
    curve.now.push_back(by_context(losses, &Lost::now));
    curve.most.push_back(by_context(losses, &Lost::most));
    before = std::move(losses);
  }
  return curve;
}

double mean_of(const std::vector<double>& losses) {
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
}

// The last of `count` ratios; nothing where there is none.
Value ratio_of(const Curve& curve, size_t count) {
  return count == 0 ? Value("") : Value(curve.ratios[count - 1]);
}

std::string or_none(const Value& value) { return value.text.empty() ? "none" : value.text; }

std::vector<Value> row_of(const Curve& curve, const Promise& promise) {
  const size_t certified = learn_then_test(curve.now, promise.risk, promise.confidence);
  const size_t conforming = conformal_risk_control(curve.most, promise.risk);
  const bool is_refused = certified < curve.ratios.size();
  const size_t at = is_refused ? certified : certified - 1;  // the last ratio that was tested
  const auto n_contexts = std::ssize(curve.now[at]);
  const double refused_loss = is_refused ? mean_of(curve.now[at]) : NAN;
  const double p = is_refused ? hoeffding_bentkus_p(refused_loss, n_contexts, promise.risk) : NAN;
  const Value ratio = ratio_of(curve, certified), expected = ratio_of(curve, conforming);
  return {n_contexts,
          curve.n[at],
          or_none(ratio),
          ratio,
          certified == 0 ? NAN : mean_of(curve.now[certified - 1]),
          is_refused ? Value(curve.ratios[at]) : Value(""),
          refused_loss,
          p_text(p),
          p,
          or_none(expected),
          expected,
          certified == 0 ? Value(contexts_to_test(promise.risk, promise.confidence)) : Value("")};
}

}  // namespace

Promise parse_promise(const std::string& text) {
  Promise promise;
  bool has_risk = false;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string name = part.substr(0, equals);
    const std::string value = equals < part.size() ? part.substr(equals + 1) : "";
    if (name == "loss") {
      if (value != "drop" && value != "worse") {
        throw_input_error("--certify: {}", unknown_name("loss", value, {"drop", "worse"}));
      }
      promise.loss = value == "drop" ? Promise::Loss::kDrop : Promise::Loss::kWorse;
      continue;
    }
    if (name != "risk" && name != "confidence") {
      throw_input_error("--certify: {}; as in risk=0.05,loss=drop,confidence=0.95",
                        unknown_name("name", name, {"risk", "loss", "confidence"}));
    }
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != '\0' || !(number > 0 && number < 1)) {
      throw_input_error("--certify: {} is '{}', expected a number between 0 and 1", name, value);
    }
    (name == "risk" ? promise.risk : promise.confidence) = number;
    has_risk |= name == "risk";
  }
  if (!has_risk) {
    throw_input_error("--certify: '{}' says no risk; as in risk=0.05,loss=drop,confidence=0.95",
                      text);
  }
  return promise;
}

Table certify_table(const std::vector<Block>& blocks, const Promise& promise) {
  Table table;
  table.columns = block_columns();
  const std::vector<Column> columns = {
      {"task", "task"},
      {"policy", "policy"},
      {"", "risk"},
      {"", "loss"},
      {"", "confidence"},
      {"contexts", "n_contexts", Style::kNumber},
      {"n", "n", Style::kNumber},
      {"certified", "", Style::kNumber},
      {"", "certified_ratio"},
      {"loss", "certified_loss", Style::kFine},
      {"refused", "refused_ratio", Style::kNumber},
      {"its loss", "refused_loss", Style::kFine},
      {"p", "", Style::kNumber},
      {"", "refused_p"},
      {"in expectation", "", Style::kNumber},
      {"", "expectation_ratio"},
      {"contexts needed", "contexts_needed", Style::kNumber, true}};
  table.columns.insert(table.columns.end(), columns.begin(), columns.end());
  for (const Block& block : blocks) {
    const std::string full = full_policy(block);
    if (full.empty()) continue;
    const CellIndex index(block);
    Table::Section& section = table.sections.emplace_back();
    section.title = fmt::format(
        "Certified, {}: largest ratio with a mean loss of at most {}, with {} % confidence and in "
        "expectation",
        block.title, promise.risk, 100 * promise.confidence);
    std::vector<std::string> policies;
    for (const CellIndex::Line& line : index.lines()) {
      const bool is_new =
          std::find(policies.begin(), policies.end(), line.policy) == policies.end();
      if (line.policy != full && is_new) policies.push_back(line.policy);
    }
    for (const auto& tasks : task_groups(block)) {
      for (const std::string& policy : policies) {
        const Curve curve = curve_of(index, tasks, policy, full, promise.loss);
        if (curve.ratios.empty()) continue;
        auto& row = section.rows.emplace_back(block.values);
        row.insert(row.end(),
                   {tasks.size() == 1 ? tasks[0] : "all tasks", policy, promise.risk,
                    promise.loss == Promise::Loss::kDrop ? "drop" : "worse", promise.confidence});
        const std::vector<Value> values = row_of(curve, promise);
        row.insert(row.end(), values.begin(), values.end());
      }
    }
  }
  return table;
}

std::vector<std::string> assumptions(const Promise& promise) {
  const char* loss = promise.loss == Promise::Loss::kDrop
                         ? "max(0, the full cache's score - the policy's) / 100"
                         : "1 where the policy scores below the full cache, else 0";
  return {
      fmt::format(
          "certify: the loss of a context is the mean over its samples of {}; failed samples "
          "are left out",
          loss),
      fmt::format("certify: 'certified' holds with {} % confidence for every ratio up to it: Learn "
                  "then Test, ratios in ascending order, Hoeffding-Bentkus p-values over contexts; "
                  "it is a promise of each line, not of the best of several lines",
                  100 * promise.confidence),
      fmt::format(
          "certify: 'in expectation' is conformal risk control: the loss of one more context "
          "is at most {} on average over files as random as this one, which lets single "
          "files break it; losses are made monotone over the ratios",
          promise.risk),
      "certify: both assume contexts drawn like those here: same model, task and length; for 'all "
      "tasks' the same mixture, in which each context counts once"};
}

}  // namespace kvbench
