// For tests: sweeps on a small random model, and what their rows say.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "harness/base/error.h"
#include "harness/results/test_run.h"
#include "harness/sweep/sweep.h"
#include "harness/sweep/test_model.h"

namespace kvbench {

inline constexpr int64_t kMeasured = 200;  // tokens of a context that is measured

class SweepTest : public testing::Test {
 protected:
  static constexpr const char* kFileTask =
      "[{task: ruler/qa_1, file: two.jsonl, max_new_tokens: 6}]";

  // Policies of every kind.
  static constexpr const char* kSound =
      "full, snapkv, {preset: keydiff, name: chunked, prefill: {chunk: 64}},"
      "{preset: snapkv, name: bounded, decode: {when: overflow}}, oracle_uniform, oracle_lukv";
  static constexpr const char* kEveryBlock =
      "ratios: [0, 0.7]\ncompress: [context, prompt]\nfidelity: true\n"
      "latency: {repeats: 1, warmup: 1, lengths: [200], decode_tokens: 3}";
  static constexpr const char* kManyTasks =
      "[{task: ruler/qa_1, file: two.jsonl, max_new_tokens: 6},"
      " {task: ruler/qa_1, file: three.jsonl, max_new_tokens: 6, seed: 7},"
      " {task: ruler/niah_single_1, lengths: [1024], samples: 1, seed: 1, max_new_tokens: 4},"
      " {task: ruler/niah_single_1, lengths: [1024], samples: 1, seed: 2, max_new_tokens: 4}]";

  static std::string context(int seed) {
    std::string text;
    for (int i = 0; i < 12; ++i) {
      text += fmt::format("The word {} is {}. ", i, (i * 31 + seed) % 97);
    }
    return text;
  }

  void SetUp() override {
    test_model::write(folder_ / "model");
    write("two.jsonl", test_model::qa_line(context(1), "Which?", "3") +
                           test_model::qa_line(context(2), "What?", "4"));
    // Two questions about one context, and the same line twice.
    write("three.jsonl", test_model::qa_line(context(3), "Which?", "3") +
                             test_model::qa_line(context(3), "Who?", "5") +
                             test_model::qa_line(context(3), "Which?", "3"));
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }

  // A sweep of short answers; `more` are further lines of YAML.
  SweepConfig config(const std::string& tasks, const std::string& policies,
                     const std::string& more = "ratios: [0.5]", const char* output = "out.h5") {
    write("sweep.yaml", fmt::format("name: tiny\nmodel: {{path: model}}\ndevice: cpu\n"
                                    "chat_template: false\ntasks: {}\npolicies: {}\n{}\n"
                                    "output: {}\n",
                                    tasks, policies, more, output));
    return load_sweep(folder_ / "sweep.yaml");
  }

  Results run(const SweepConfig& config, SweepOptions options = {}) {
    return read_results(run_sweep(config, options).file);
  }

  std::string refusal(const std::function<void()>& work) {
    try {
      work();
    } catch (const InputError& e) {
      return e.what();
    }
    return "nothing was thrown";
  }

  // Everything of a row but times.
  static std::string text_of(const SampleRow& row) {
    std::string all;
    visit_columns(row, [&](const char* name, const auto& value) {
      const std::string column = name;
      if (!column.ends_with("_ms")) all += fmt::format("{}={}\n", name, value);
    });
    return all;
  }

  static std::vector<std::string> texts_of(const Results& results,
                                           const std::function<bool(const SampleRow&)>& wanted) {
    const auto keep_counts = read_keep_counts(results);
    std::vector<std::string> texts;
    for (size_t i = 0; i < results.rows.size(); ++i) {
      if (!wanted(results.rows[i])) continue;
      texts.push_back(text_of(results.rows[i]));
      for (const auto count : keep_counts[i]) texts.back() += fmt::format("{} ", count);
    }
    return texts;
  }

  static std::vector<std::string> texts_of(const Results& results) {
    return texts_of(results, [](const SampleRow&) { return true; });
  }

  test_run::Folder folder_;
};

}  // namespace kvbench
