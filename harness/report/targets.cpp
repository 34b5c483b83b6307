#include "harness/report/targets.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/yaml_map.h"
#include "harness/report/join.h"

namespace kvbench {
namespace {

constexpr int64_t kMost = 1'000'000'000;

const std::vector<std::string> kForAll = {"model",        "protocol", "compress",  "length",
                                          "data",         "task",     "tolerance", "n",
                                          "same_samples", "source",   "grade"};

std::vector<std::string> with_for_all(std::vector<std::string> keys) {
  keys.insert(keys.end(), kForAll.begin(), kForAll.end());
  return keys;
}

double read_within(const YamlNode& node, const std::string& label, double low, double high) {
  double value = 0;
  read_value(node, label, value);
  if (!(value >= low && value <= high)) {
    throw_input_error("{}: {}: expected {} to {}, got {}", node.place(), label, low, high,
                      node.text);
  }
  return value;
}

double read_score(const YamlNode& node, const std::string& label) {
  return node.kind == YamlNode::Kind::kNull ? NAN : read_within(node, label, 0, 100);
}

double read_ratio(const YamlNode& node) {
  const double ratio = read_within(node, "ratio", 0, 1);
  if (ratio == 1) throw_input_error("{}: ratio: expected a share below 1, got 1", node.place());
  return ratio;
}

void read_task(const YamlNode& node, const TasksOf& tasks_of, Target& target) {
  read_value(node, "task", target.task);
  try {
    target.tasks = tasks_of(target.task);
  } catch (const InputError& e) {
    throw_input_error("{}: task: {}", node.place(), e.what());
  }
}

// What one target may say, or the top of the file for all of them.
Target read_for_all(const YamlMap& map, Target target, const TasksOf& tasks_of) {
  target.model = map.optional("model", target.model);
  target.protocol = map.optional("protocol", target.protocol);
  target.compress = map.choice("compress", target.compress, {"context", "prompt"});
  target.length = map.integer("length", target.length, 1, kMost);
  target.data = map.optional("data", target.data);
  if (const YamlNode* node = map.find("task")) read_task(*node, tasks_of, target);
  if (const YamlNode* node = map.find("tolerance")) {
    target.tolerance = read_within(*node, "tolerance", 0, 100);
  }
  target.n = map.integer("n", target.n, 1, kMost);
  target.same_samples = map.optional("same_samples", target.same_samples);
  target.source = map.optional("source", target.source);
  target.grade = map.choice("grade", target.grade, {"A", "B", "C", "own"});
  return target;
}

// Sets what one column of `columns` says in a target.
using Columns = std::vector<std::function<void(Target&)>>;

Columns read_columns(const YamlNode& node, const TasksOf& tasks_of) {
  const YamlMap map(node, "columns", {"task", "ratio", "n"});
  const YamlNode *tasks = map.find("task"), *ratios = map.find("ratio"), *counts = map.find("n");
  if ((tasks == nullptr) == (ratios == nullptr)) {
    throw_input_error("{}: columns: expected either task or ratio", node.place());
  }
  Columns columns;
  if (ratios != nullptr) {
    if (counts != nullptr) map.fail("n", "stands beside ratio; it goes with task");
    for (const YamlNode& item : read_items(*ratios, "ratio", "numbers")) {
      columns.emplace_back([ratio = read_ratio(item)](Target& target) { target.ratio = ratio; });
    }
    return columns;
  }
  std::vector<int64_t> n;
  if (counts != nullptr) read_value(*counts, "n", n);
  const auto& items = read_items(*tasks, "task", "texts");
  if (counts != nullptr && n.size() != items.size()) {
    map.fail("n", fmt::format("expected {} integers, one for each task, got {}", items.size(),
                              n.size()));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    Target column;
    read_task(items[i], tasks_of, column);
    if (counts != nullptr) {
      check_range(counts->items[i], "n", n[i], 1, kMost);
      column.n = n[i];
    }
    columns.emplace_back([column](Target& target) {
      target.task = column.task;
      target.tasks = column.tasks;
      if (column.n > 0) target.n = column.n;
    });
  }
  return columns;
}

void check(const YamlNode& node, const Target& target) {
  const bool is_score = target.sign == Target::Sign::kNone;
  const auto need = [&](bool is_there, const char* key) {
    if (is_there) return;
    throw_input_error("{}: {} is missing in the target, and at the top of the file", node.place(),
                      key);
  };
  need(!target.model.empty(), "model");
  need(!target.task.empty(), "task");
  need(!target.source.empty(), "source");
  need(!target.grade.empty(), "grade");
  need(!is_score || std::isnan(target.value) || !std::isnan(target.tolerance), "tolerance");
}

std::vector<Target> read_entry(const YamlNode& node, const Target& for_all, const Columns& columns,
                               const TasksOf& tasks_of) {
  const YamlMap map(node, "the target",
                    with_for_all({"policy", "ratio", "value", "values", "against", "sign"}));
  Target target = read_for_all(map, for_all, tasks_of);
  target.place = node.place();
  target.policy = map.required<std::string>("policy");
  if (const YamlNode* ratio = map.find("ratio")) target.ratio = read_ratio(*ratio);
  std::string said;
  for (const char* key : {"value", "values", "sign"}) {
    if (map.find(key) == nullptr) continue;
    if (!said.empty()) map.fail(key, fmt::format("stands beside {}", said));
    said = key;
  }
  if (said.empty()) throw_input_error("{}: expected value, values or sign", node.place());
  if ((said == "sign") != (map.find("against") != nullptr)) {
    throw_input_error("{}: against and sign go together", node.place());
  }
  if (said == "values") {
    const auto& values = read_items(map.require("values"), "values", "numbers");
    if (values.size() != columns.size()) {
      map.fail("values", fmt::format("expected {}, one for each of columns, got {}", columns.size(),
                                     values.size()));
    }
    std::vector<Target> targets(values.size(), target);
    for (size_t i = 0; i < values.size(); ++i) {
      columns[i](targets[i]);
      targets[i].value = read_score(values[i], "values");
    }
    return targets;
  }
  if (said == "value") target.value = read_score(map.require("value"), "value");
  if (said == "sign") {
    target.against = map.required<std::string>("against");
    target.sign = map.choice("sign", "", {"below", "above"}) == "below" ? Target::Sign::kBelow
                                                                        : Target::Sign::kAbove;
  }
  return {target};
}

// All that tells one target from every other.
std::string identity(const Target& target) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", target.model, target.protocol,
                     target.compress, target.length, target.policy, ratio_text(target.ratio),
                     target.task, target.against);
}

}  // namespace

std::vector<Target> parse_targets(const YamlNode& root, const TasksOf& tasks_of) {
  const YamlMap map(root, "the targets file", with_for_all({"columns", "targets"}));
  Target for_all;
  for_all.protocol = "official";
  for_all.compress = "context";
  for_all = read_for_all(map, for_all, tasks_of);
  Columns columns;
  if (const YamlNode* node = map.find("columns")) columns = read_columns(*node, tasks_of);
  std::vector<Target> targets;
  std::map<std::string, std::string> seen;  // identity -> place
  for (const YamlNode& item : read_items(map.require("targets"), "targets", "targets")) {
    for (Target& target : read_entry(item, for_all, columns, tasks_of)) {
      check(item, target);
      const auto [first, added] = seen.try_emplace(identity(target), item.place());
      if (!added) {
        throw_input_error("{}: a target of {} at ratio {} on {} appears twice, first at {}",
                          item.place(), target.policy, ratio_text(target.ratio), target.task,
                          first->second);
      }
      targets.push_back(std::move(target));
    }
  }
  return targets;
}

}  // namespace kvbench
