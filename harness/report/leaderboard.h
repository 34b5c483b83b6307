// Results in the layout that kvpress's evaluation writes, which its leaderboard takes.
#pragma once

#include <string>
#include <vector>

#include "harness/report/blocks.h"

namespace kvbench {

// One folder of kvpress 0.5.5's evaluation/evaluate.py (get_results_dir, save_config,
// _save_results, _calculate_and_save_metrics): DATASET__DATA__MODEL__PRESS__RATIO with the three
// files.
struct LeaderboardFolder {
  std::string name;         // "ruler__4096__Qwen--Qwen3-8B__snapkv__0.50"; a second one of it "/1"
  std::string predictions;  // predictions.csv: task, answers, prediction and ratio of every sample
  std::string metrics;  // metrics.json: RULER {task: {"string_match": score}}, LongBench a score
  std::string config;   // config.yaml: the keys of EvaluationConfig
};

struct Leaderboard {
  std::vector<LeaderboardFolder> folders;
  std::vector<std::string> remarks;  // what the layout has no place for
};

// One folder for each block, policy and ratio with all its RULER tasks (DATA is the length), and
// one for each LongBench set. Press is the policy's name, "no_press" that of the full cache.
// Of the samples' columns context, question and prefix are not there: results do not hold them.
// Left out, with a remark: other tasks, LongBench-E, policies without a ratio, failed samples.
Leaderboard leaderboard(const Joined& joined, const std::vector<Block>& blocks);

}  // namespace kvbench
