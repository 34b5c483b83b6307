// For tests: all samples of a source, and one prediction's score.
#pragma once

#include <vector>

#include "tasks/grading.h"
#include "tasks/task.h"

namespace kvbench {

inline std::vector<Sample> all_samples(const TaskRequest& request,
                                       const TokenCounter& count_tokens = {}) {
  const auto source = find_task(request.name).open(request, count_tokens);
  std::vector<Sample> samples;
  for (int64_t i = 0; i < source->size(); ++i) samples.push_back(source->sample(i));
  return samples;
}

inline double grade(const std::string& metric, const std::string& prediction,
                    const std::vector<std::string>& references) {
  return score_of({.metric = metric}, {prediction, references});
}

}  // namespace kvbench
