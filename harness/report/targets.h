// The figures of a published table that a run is held against, and the file that says them.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/base/yaml.h"

namespace kvbench {

// One cell of a published table: a score, or which of two policies is ahead.
struct Target {
  enum class Sign { kNone, kBelow, kAbove };

  std::string place;               // FILE:LINE
  std::string model;               // as results name it (ModelSpec::name)
  std::string protocol, compress;  // as CellRow
  int64_t length = 0;              // tokens; 0 = any: the samples say none
  std::string data;    // a data set (configs/data) of that length, whose files do not say it
  std::string policy;  // its name in the sweep; "full" is the full cache's whatever its name
  double ratio = NAN;  // nan: full, and policies with a budget of their own
  std::string task;    // a task or a group, as written
  std::vector<std::string> tasks;  // of a group all: the figure is the mean of their means

  double value = NAN;  // 0..100; nan: not known
  double tolerance = NAN;
  int64_t n = 0;              // samples behind the value; 0 = not known
  bool same_samples = false;  // those of the run are the very same (a data set taken whole)

  std::string against;  // with a sign: the policy that `policy` is below or above
  Sign sign = Sign::kNone;

  std::string source, grade;  // where the figure is from; A, B, C or own
};

// The tasks that a name of a task or group stands for; throws InputError for another one.
using TasksOf = std::function<std::vector<std::string>(const std::string&)>;

// Reads a targets file. Its list `targets` has one of
//   {policy: P, ratio: R, task: T, value: V}                a figure, null where it is not known
//   {policy: P, ratio: R, values: [V, ...]}                 one for each of `columns`
//   {policy: P, ratio: R, task: T, against: Q, sign: below} P is below (or above) Q
// with model, protocol (official), compress (context), length, data, task, tolerance, n,
// same_samples, source and grade each said here, or at the top of the file for all. `columns`, also
// at the top, is {task: [T, ...]}, with n: [...] where tasks differ in it, or {ratio: [R, ...]}. A
// grade is A (two independent sources, or the authors' own text), B (one source that cites the
// table), C (a loose one) or own (a run of kvbench). Throws InputError: one line with file, line,
// and near matches.
std::vector<Target> parse_targets(const YamlNode& root, const TasksOf& tasks_of);

}  // namespace kvbench
