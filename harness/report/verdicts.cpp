#include "harness/report/verdicts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "harness/report/comparison.h"

namespace kvbench {
namespace {

// What a run says about one target.
struct Judged {
  const Target* target;
  size_t n_tasks = 0;  // of the target that ran
  Interval run = {NAN, NAN, NAN};
  int64_t n = 0, n_contexts = 0;
  std::string verdict = "not run", why = {};

  bool is_full() const { return target->policy == "full"; }
  bool has_run() const { return n_tasks == target->tasks.size(); }
};

// A value of block_columns().
std::string fact(const Block& block, const std::string& name) {
  const auto columns = block_columns();
  const auto at = std::find_if(columns.begin(), columns.end(),
                               [&](const Column& column) { return column.name == name; });
  return block.values.at(static_cast<size_t>(at - columns.begin())).text;
}

bool is_about(const Target& target, const Block& block) {
  return target.model == fact(block, "model") && target.protocol == fact(block, "protocol") &&
         target.compress == fact(block, "compress");
}

bool has_length(const Target& target, const Block& block, const CellRow& cell) {
  return target.length == 0 || fmt::format("{}", target.length) == fact(block, "length") ||
         (!target.data.empty() && cell.source.starts_with(target.data + "/"));
}

// A cell of the target's length. Where `ratio` is nan, of what does not depend on it: the full
// cache, a policy with its own budget.
const Measured* find_cell(const Block& block, const std::string& task, const std::string& policy,
                          double ratio, const Target& target) {
  for (const Measured* measured : block.cells) {
    const CellRow& cell = measured->cell;
    if (cell.task != task || !has_length(target, block, cell)) continue;
    if (policy == "full" ? !is_full(cell) : cell.policy != policy) continue;
    const bool is_own = std::isnan(cell.ratio) || cell.ratio == 0;
    if (ratio_text(cell.ratio) == ratio_text(ratio) || (std::isnan(ratio) && is_own)) {
      return measured;
    }
  }
  return nullptr;
}

// The scores of one task, or of a sign the differences; empty where it did not run.
Stratum stratum_of(const Block& block, const std::string& task, const Target& target) {
  const Measured* mine = find_cell(block, task, target.policy, target.ratio, target);
  if (mine == nullptr) return {};
  if (target.sign == Target::Sign::kNone) return scores_of(*mine);
  const Measured* theirs = find_cell(block, task, target.against, target.ratio, target);
  if (theirs == nullptr) theirs = find_cell(block, task, target.against, NAN, target);
  return theirs == nullptr ? Stratum{} : pair_up(*mine, *theirs).differences;
}

Judged judge_one(const Block& block, const Target& target) {
  Judged judged{&target};
  std::vector<Stratum> strata;
  for (const std::string& task : target.tasks) {
    Stratum stratum = stratum_of(block, task, target);
    if (stratum.values.empty()) continue;
    const std::set<std::string> contexts(stratum.contexts.begin(), stratum.contexts.end());
    judged.n += std::ssize(stratum.values);
    judged.n_contexts += std::ssize(contexts);
    strata.push_back(std::move(stratum));
  }
  judged.n_tasks = strata.size();
  if (judged.has_run()) {
    const Estimate estimate = estimate_mean(strata);
    judged.run = target.sign == Target::Sign::kNone ? score_interval(estimate)
                                                    : difference_interval(estimate);
    judged.verdict = verdict(judged.run, target);
  } else {
    judged.n = judged.n_contexts = 0;
    if (target.tasks.size() > 1) {
      judged.why = fmt::format("{} of {} tasks", judged.n_tasks, target.tasks.size());
    }
  }
  return judged;
}

std::string sign_text(const Target& target) {
  if (target.sign == Target::Sign::kNone) return "";
  return target.sign == Target::Sign::kBelow ? "below" : "above";
}

std::vector<Column> columns() {
  std::vector<Column> columns = block_columns();
  const std::vector<Column> more = {{"policy", "policy"},
                                    {"ratio", "ratio", Style::kNumber},
                                    {"task", "task"},
                                    {"target", "", Style::kNumber},  // a figure or a sign
                                    {"", "target", Style::kNumber},
                                    {"", "sign"},
                                    {"", "against"},
                                    {"+-", "tolerance", Style::kNumber, true},
                                    {"", "target_n", Style::kNumber},
                                    {"run", "measured", Style::kScore},
                                    {"low", "ci_low", Style::kScore},
                                    {"high", "ci_high", Style::kScore},
                                    {"n", "n", Style::kNumber},
                                    {"", "n_contexts", Style::kNumber},
                                    {"verdict", "verdict"},
                                    {"why", "why", Style::kText, true},
                                    {"grade", "grade"},
                                    {"", "source"},
                                    {"", "place"}};
  columns.insert(columns.end(), more.begin(), more.end());
  return columns;
}

std::vector<Value> row_of(std::vector<Value> row, const Judged& judged) {
  const Target& target = *judged.target;
  const std::string sign = sign_text(target);
  const Value shown = sign.empty() ? Value(target.value) : Value(sign + " " + target.against);
  const double tolerance = std::isnan(target.value) ? NAN : target.tolerance;
  const Value target_n = target.n > 0 ? Value(target.n) : Value("");
  row.insert(row.end(), {target.policy, target.ratio, target.task, shown, target.value, sign,
                         target.against, tolerance, target_n, judged.run.mean, judged.run.low,
                         judged.run.high, judged.n, judged.n_contexts, judged.verdict, judged.why,
                         target.grade, target.source, target.place});
  return row;
}

// What the full cache says about a block, and whether the others can be trusted.
struct Gate {
  bool is_open = true;
  std::string remark;
};

Gate gate_of(const Block& block, const std::vector<Judged>& all) {
  std::vector<const Judged*> full;
  for (const Judged& judged : all) {
    if (judged.is_full() && judged.verdict != "no target") full.push_back(&judged);
  }
  if (full.empty()) {
    const bool has_full = std::any_of(block.cells.begin(), block.cells.end(),
                                      [](const Measured* m) { return is_full(m->cell); });
    return {true, has_full ? "the full cache has no target: nothing says that model, prompt and "
                             "data are those of the table"
                           : "the full cache was not run: nothing says that model, prompt and data "
                             "are those of the table"};
  }
  size_t n_agree = 0;
  for (const Judged* judged : full) {
    const Target& target = *judged->target;
    if (judged->verdict == "differs") {
      return {false,
              fmt::format("the full cache differs from its target ({}: {}, here {:.1f}, 95 % "
                          "interval {:.1f} to {:.1f}): no other verdict is trusted",
                          target.task, target.value, judged->run.mean, judged->run.low,
                          judged->run.high)};
    }
    n_agree += judged->verdict == "agrees" ? 1 : 0;
  }
  if (n_agree == 0) {
    return {true, "the full cache may differ from its target: too few samples to tell"};
  }
  return {true, fmt::format("the full cache agrees with its target{}",
                            full.size() == 1 ? ""
                                             : fmt::format(" in {} of {} cells, and differs in "
                                                           "none",
                                                           n_agree, full.size()))};
}

// "3 agree, 1 differs, ...": those that there are.
std::string counts_of(const std::map<std::string, int64_t>& counts) {
  std::vector<std::string> parts;
  for (const char* verdict :
       {"agrees", "differs", "cannot tell", "not trusted", "no target", "not run"}) {
    const auto count = counts.find(verdict);
    if (count != counts.end()) parts.push_back(fmt::format("{}: {}", verdict, count->second));
  }
  return fmt::format("targets: {}", fmt::join(parts, ", "));
}

// Of each model that targets name and no results have.
void remark_models(const std::vector<Block>& blocks, const std::vector<Target>& targets,
                   std::vector<std::string>& remarks) {
  std::set<std::string> here;
  for (const Block& block : blocks) here.insert(fact(block, "model"));
  std::map<std::string, int64_t> absent;
  for (const Target& target : targets) {
    if (!here.contains(target.model)) ++absent[target.model];
  }
  for (const auto& [model, count] : absent) {
    remarks.push_back(fmt::format("{} targets are about {}; the results are of {}", count, model,
                                  fmt::join(here, ", ")));
  }
}

}  // namespace

std::string verdict(const Interval& run, const Target& target) {
  const bool has_interval = !std::isnan(run.low) && !std::isnan(run.high);
  if (target.sign != Target::Sign::kNone) {
    const bool is_above = has_interval && run.low > 0, is_below = has_interval && run.high < 0;
    if (!is_above && !is_below) return "cannot tell";
    return is_above == (target.sign == Target::Sign::kAbove) ? "agrees" : "differs";
  }
  if (std::isnan(target.value)) return "no target";
  if (!has_interval) return "cannot tell";
  const double value = target.value, tolerance = target.tolerance;
  if (run.low >= value - tolerance && run.high <= value + tolerance) return "agrees";
  double error = 0;
  if (target.n > 0 && !target.same_samples) {
    constexpr double kNormal95 = 1.96;
    error = kNormal95 * std::sqrt(value * (100 - value) / static_cast<double>(target.n));
  }
  const double most = tolerance + error;
  return run.low > value + most || run.high < value - most ? "differs" : "cannot tell";
}

Verdicts judge(const std::vector<Block>& blocks, const std::vector<Target>& targets) {
  Verdicts verdicts;
  verdicts.table.columns = columns();
  std::map<std::string, int64_t> counts;
  std::vector<Judged> not_run;  // of each target the block in which most of it ran
  for (const Target& target : targets) not_run.push_back({&target});
  for (const Block& block : blocks) {
    std::vector<Judged> all;
    for (size_t i = 0; i < targets.size(); ++i) {
      if (!is_about(targets[i], block)) continue;
      Judged judged = judge_one(block, targets[i]);
      if (judged.n_tasks >= not_run[i].n_tasks) not_run[i] = judged;
      if (judged.has_run()) all.push_back(std::move(judged));
    }
    if (all.empty()) continue;
    std::stable_partition(all.begin(), all.end(), [](const Judged& j) { return j.is_full(); });
    const Gate gate = gate_of(block, all);
    verdicts.remarks.push_back(fmt::format("{}: {}", block.title, gate.remark));
    Table::Section& section = verdicts.table.sections.emplace_back();
    section.title = "Targets, " + block.title;
    for (Judged& judged : all) {
      if (!gate.is_open && !judged.is_full() && judged.verdict != "no target") {
        judged.why = "the full cache differs; else: " + judged.verdict;
        judged.verdict = "not trusted";
      }
      ++counts[judged.verdict];
      section.rows.push_back(row_of(block.values, judged));
    }
  }
  Table::Section absent{"Targets that were not run", {}};
  for (const Judged& judged : not_run) {
    if (judged.has_run()) continue;
    ++counts[judged.verdict];
    const std::vector<Value> no_block(block_columns().size(), "");
    absent.rows.push_back(row_of(no_block, judged));
  }
  verdicts.table.sections.push_back(std::move(absent));
  remark_models(blocks, targets, verdicts.remarks);
  verdicts.remarks.insert(verdicts.remarks.begin(), counts_of(counts));
  return verdicts;
}

}  // namespace kvbench
