#include "harness/report/failures.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "harness/report/table.h"

namespace kvbench {
namespace {

struct Line {
  std::string policy, ratio, task;
  int64_t n = 0, n_errors = 0;
  std::vector<std::pair<std::string, int64_t>> reasons;  // in the order of their first rows
};

class Lines {
 public:
  void add(const std::string& policy, double ratio, const std::string& task,
           const std::string& error) {
    const auto [at, added] = at_.try_emplace({policy, ratio_text(ratio), task}, lines_.size());
    if (added) lines_.push_back({policy, ratio_text(ratio), task, 0, 0, {}});
    Line& line = lines_[at->second];
    ++line.n;
    if (error.empty()) return;
    ++line.n_errors;
    for (auto& [reason, count] : line.reasons) {
      if (reason != error) continue;
      ++count;
      return;
    }
    line.reasons.emplace_back(error, 1);
  }

  const std::vector<Line>& all() const { return lines_; }

 private:
  std::vector<Line> lines_;
  std::map<std::tuple<std::string, std::string, std::string>, size_t> at_;
};

}  // namespace

Grid failure_table(const std::vector<SampleRow>& samples, const std::vector<LatencyRow>& latency) {
  Lines lines;
  for (const SampleRow& row : samples) lines.add(row.policy, row.ratio, row.task, row.error);
  for (const LatencyRow& row : latency) {
    lines.add(row.policy, row.ratio, fmt::format("latency at {} tokens", row.context_tokens),
              row.error);
  }
  Grid grid;
  grid.title = "Failed, with the most frequent reason";
  grid.columns = {{"policy", false}, {"ratio"}, {"task", false},
                  {"failed"},        {"of"},    {"reason", false}};
  for (const Line& line : lines.all()) {
    if (line.n_errors == 0) continue;
    auto most = line.reasons.front();
    for (const auto& reason : line.reasons) {
      if (reason.second > most.second) most = reason;
    }
    std::string text = one_line(most.first, 160);
    if (line.reasons.size() > 1) text += fmt::format(" ({} of {})", most.second, line.n_errors);
    grid.rows.push_back({line.policy, line.ratio, line.task, fmt::format("{}", line.n_errors),
                         fmt::format("{}", line.n), text});
  }
  return grid;
}

Grid failure_table(const Joined& joined) {
  std::vector<SampleRow> samples;
  std::vector<LatencyRow> latency;
  for (const Measured& measured : joined.cells) {
    samples.insert(samples.end(), measured.rows.begin(), measured.rows.end());
  }
  for (const MeasuredLatency& measured : joined.latency) latency.push_back(measured.row);
  return failure_table(samples, latency);
}

}  // namespace kvbench
