#include "harness/report/targets.h"

#include <gtest/gtest.h>

#include "harness/base/error.h"

namespace kvbench {
namespace {

std::vector<std::string> tasks_of(const std::string& name) {
  if (name == "g/all") return {"g/a", "g/b"};
  if (name == "g/a" || name == "g/b") return {name};
  throw_input_error("unknown task \"{}\"", name);
}

const char* const kTop = "model: m\ntolerance: 2\nsource: here\ngrade: B\n";

std::vector<Target> read(const std::string& text) {
  return parse_targets(parse_yaml(kTop + text, "t.yaml"), tasks_of);
}

void expect_refused(const std::string& text, const std::vector<std::string>& parts) {
  try {
    parse_targets(parse_yaml(text, "t.yaml"), tasks_of);
    ADD_FAILURE() << "accepted: " << text;
  } catch (const InputError& e) {
    for (const auto& part : parts) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what() << "\n" << part;
    }
  }
}

TEST(Targets, TheTopSpeaksForAllAndATargetForItself) {
  const auto all = read(
      "n: 10\ntask: g/all\ntargets:\n"
      "  - {policy: full, value: 90}\n"
      "  - {policy: x, ratio: 0.5, value: null, task: g/a, n: 20, tolerance: 3, compress: prompt,\n"
      "     protocol: lukv, length: 4096, data: d, same_samples: true, grade: A, source: there, "
      "model: "
      "o}\n");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].model, "m");
  EXPECT_EQ(all[0].protocol, "official");
  EXPECT_EQ(all[0].compress, "context");
  EXPECT_EQ(all[0].length, 0);
  EXPECT_TRUE(std::isnan(all[0].ratio));
  EXPECT_EQ(all[0].task, "g/all");
  EXPECT_EQ(all[0].tasks, (std::vector<std::string>{"g/a", "g/b"}));
  EXPECT_EQ(all[0].value, 90);
  EXPECT_EQ(all[0].tolerance, 2);
  EXPECT_EQ(all[0].n, 10);
  EXPECT_FALSE(all[0].same_samples);
  EXPECT_EQ(all[0].grade, "B");
  EXPECT_EQ(all[0].place, "t.yaml:8");
  EXPECT_EQ(all[1].model, "o");
  EXPECT_EQ(all[1].protocol, "lukv");
  EXPECT_EQ(all[1].compress, "prompt");
  EXPECT_EQ(all[1].length, 4096);
  EXPECT_EQ(all[1].data, "d");
  EXPECT_EQ(all[1].ratio, 0.5);
  EXPECT_EQ(all[1].tasks, std::vector<std::string>{"g/a"});
  EXPECT_TRUE(std::isnan(all[1].value));
  EXPECT_EQ(all[1].tolerance, 3);
  EXPECT_EQ(all[1].n, 20);
  EXPECT_TRUE(all[1].same_samples);
  EXPECT_EQ(all[1].grade, "A");
  EXPECT_EQ(all[1].source, "there");
}

TEST(Targets, ARowOfTheTableIsOneLine) {
  const auto tasks = read(
      "columns: {task: [g/a, g/all], n: [5, 10]}\n"
      "targets: [{policy: x, ratio: 0.5, values: [1.5, null]}]\n");
  ASSERT_EQ(tasks.size(), 2U);
  EXPECT_EQ(tasks[0].task, "g/a");
  EXPECT_EQ(tasks[0].value, 1.5);
  EXPECT_EQ(tasks[0].n, 5);
  EXPECT_EQ(tasks[1].tasks.size(), 2U);
  EXPECT_TRUE(std::isnan(tasks[1].value));
  EXPECT_EQ(tasks[1].n, 10);
  const auto ratios = read(
      "task: g/a\ncolumns: {ratio: [0.5, 0.9]}\ntargets:\n"
      "  - {policy: full, value: 80}\n  - {policy: x, values: [70, 60]}\n");
  ASSERT_EQ(ratios.size(), 3U);
  EXPECT_EQ(ratios[2].ratio, 0.9);
  EXPECT_EQ(ratios[2].value, 60);
}

TEST(Targets, ASignNamesTheOtherPolicy) {
  const auto all = read("task: g/a\ntargets: [{policy: x, ratio: 0.8, against: u, sign: below}]\n");
  EXPECT_EQ(all.at(0).sign, Target::Sign::kBelow);
  EXPECT_EQ(all.at(0).against, "u");
}

TEST(Targets, WhatIsWrongIsNamedWithItsLine) {
  const std::string top = kTop;
  const std::string entry = top + "task: g/a\ntargets:\n  - ";
  expect_refused(top + "tragets: []\n", {"t.yaml:5", "\"tragets\"", "did you mean targets?"});
  expect_refused(top + "targets: []\n", {"t.yaml:5", "targets"});
  expect_refused(entry + "{policy: x, vaule: 1}\n", {"t.yaml:7", "did you mean value?"});
  expect_refused(entry + "{value: 1}\n", {"t.yaml:7", "policy is missing"});
  expect_refused(entry + "{policy: x}\n", {"t.yaml:7", "expected value, values or sign"});
  expect_refused(entry + "{policy: x, value: 1, values: [1]}\n", {"values: stands beside value"});
  expect_refused(entry + "{policy: x, value: 101}\n", {"value: expected 0 to 100, got 101"});
  expect_refused(entry + "{policy: x, value: big}\n", {"t.yaml:7", "value", "\"big\""});
  expect_refused(entry + "{policy: x, value: 1, ratio: 1}\n", {"ratio: expected a share below 1"});
  expect_refused(entry + "{policy: x, value: 1, n: 0}\n", {"n: expected at least 1, got 0"});
  expect_refused(entry + "{policy: x, value: 1, grade: D}\n", {"t.yaml:7", "grade \"D\"", "own"});
  expect_refused(entry + "{policy: x, value: 1, task: g/c}\n", {"t.yaml:7: task: unknown task"});
  expect_refused(entry + "{policy: x, values: [1]}\n", {"expected 0, one for each of columns"});
  expect_refused(entry + "{policy: x, sign: below}\n", {"against and sign go together"});
  expect_refused(entry + "{policy: x, value: 1, against: u}\n", {"against and sign go together"});
  expect_refused(entry + "{policy: x, against: u, sign: under}\n", {"sign \"under\"", "below"});
  expect_refused(entry + "{policy: x, value: 1}\n  - {policy: x, value: 2}\n",
                 {"t.yaml:8", "appears twice", "t.yaml:7"});
  expect_refused(top + "columns: {task: [g/a], n: [1, 2]}\ntargets: [{policy: x, values: [1]}]\n",
                 {"t.yaml:5", "expected 1 integers"});
  expect_refused(top + "columns: {n: [1]}\ntargets: [{policy: x, values: [1]}]\n",
                 {"expected either task or ratio"});
  expect_refused(top + "targets: [{policy: x, value: 1}]\n", {"t.yaml:5", "task is missing"});
  expect_refused("task: g/a\nmodel: m\nsource: s\ngrade: A\ntargets: [{policy: x, value: 1}]\n",
                 {"t.yaml:5", "tolerance is missing"});
  expect_refused("task: g/a\ntolerance: 1\nsource: s\ngrade: A\ntargets: [{policy: x, value: 1}]\n",
                 {"model is missing"});
}

}  // namespace
}  // namespace kvbench
