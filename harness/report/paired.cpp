#include "harness/report/paired.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/base/random.h"

namespace kvbench {
namespace {

constexpr int kResamples = 2000;
constexpr uint64_t kSeed = 95;

using Group = std::tuple<std::string, int64_t, std::string>;  // task, max_length, compress
using Line = std::pair<std::string, double>;                  // policy, ratio
using Scores = std::map<int64_t, std::pair<double, int>>;     // sample id -> sum, count

// What one line scored beside the other policy in one group.
struct Pairs {
  std::vector<double> scores, differences;
};

struct Compared {
  std::vector<Line> lines;  // in the order of their first rows
  std::vector<Group> groups;
  std::map<std::pair<Group, Line>, Scores> scores;
};

template <class T>
void remember(std::vector<T>& seen, const T& value) {
  if (std::find(seen.begin(), seen.end(), value) == seen.end()) seen.push_back(value);
}

Compared collect(const std::vector<SampleRow>& rows) {
  Compared all;
  for (const SampleRow& row : rows) {
    if (!row.error.empty()) continue;
    const Group group{row.task, row.max_length, row.compress};
    const Line line{row.policy, row.ratio};
    auto& [sum, count] = all.scores[{group, line}][row.sample_id];
    if (all.scores[{group, line}].size() == 1 && count == 0) {
      remember(all.lines, line);
      remember(all.groups, group);
    }
    sum += row.score;
    ++count;
  }
  return all;
}

Pairs pair_up(const Compared& all, const Group& group, const Line& line,
              const std::string& against) {
  Pairs pairs;
  const auto mine = all.scores.find({group, line});
  auto theirs = all.scores.find({group, {against, line.second}});
  if (theirs == all.scores.end()) theirs = all.scores.find({group, {against, 0}});
  if (mine == all.scores.end() || theirs == all.scores.end()) return pairs;
  for (const auto& [id, score] : mine->second) {
    const auto other = theirs->second.find(id);
    if (other == theirs->second.end()) continue;
    const double mean = score.first / score.second;
    pairs.scores.push_back(mean);
    pairs.differences.push_back(mean - other->second.first / other->second.second);
  }
  return pairs;
}

std::string signed_number(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:+.1f}", value);
}

const char* verdict(const Interval& difference) {
  if (difference.low > 0) return "above";
  if (difference.high < 0) return "below";
  return "cannot tell";  // nan too
}

Grid table_of(const Compared& all, const std::vector<Group>& groups, const std::string& against) {
  Grid grid;
  grid.columns = {{"policy", false}, {"ratio"}, {"n"},    {"score"},  {"minus " + against},
                  {"low"},           {"high"},  {"wins"}, {"losses"}, {"verdict", false}};
  for (const Line& line : all.lines) {
    if (line.first == against) continue;
    std::vector<std::vector<double>> scores, differences;
    size_t n = 0;
    int wins = 0, losses = 0;
    for (const Group& group : groups) {
      Pairs pairs = pair_up(all, group, line, against);
      if (pairs.scores.empty()) break;
      n += pairs.scores.size();
      for (const double difference : pairs.differences) {
        wins += difference > 0 ? 1 : 0;
        losses += difference < 0 ? 1 : 0;
      }
      scores.push_back(std::move(pairs.scores));
      differences.push_back(std::move(pairs.differences));
    }
    if (scores.size() < groups.size()) continue;
    const Interval difference = stratified_mean(differences);
    grid.rows.push_back({line.first, fmt::format("{}", line.second), fmt::format("{}", n),
                         fmt::format("{:.1f}", stratified_mean(scores).mean),
                         signed_number(difference.mean), signed_number(difference.low),
                         signed_number(difference.high), fmt::format("{}", wins),
                         fmt::format("{}", losses), verdict(difference)});
  }
  return grid;
}

}  // namespace

Interval stratified_mean(const std::vector<std::vector<double>>& groups) {
  KVB_CHECK(!groups.empty(), "a mean of nothing");
  const auto n_groups = static_cast<double>(groups.size());
  double mean = 0;
  bool has_interval = true;
  for (const auto& group : groups) {
    KVB_CHECK(!group.empty(), "a group without values");
    double sum = 0;
    for (const double value : group) sum += value;
    mean += sum / static_cast<double>(group.size()) / n_groups;
    has_interval &= group.size() > 1;
  }
  if (!has_interval) return {mean, NAN, NAN};
  Random random(kSeed);
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double resampled = 0;
    for (const auto& group : groups) {
      double sum = 0;
      for (size_t j = 0; j < group.size(); ++j) sum += group[random.below(group.size())];
      resampled += sum / static_cast<double>(group.size()) / n_groups;
    }
    means.push_back(resampled);
  }
  std::sort(means.begin(), means.end());
  return {mean, quantile(means, 0.025), quantile(means, 0.975)};
}

std::vector<Grid> paired_tables(const std::vector<SampleRow>& rows, const std::string& against) {
  const Compared all = collect(rows);
  std::set<std::string> policies;
  for (const Line& line : all.lines) policies.insert(line.first);
  if (!policies.contains(against)) {
    throw_input_error("--against: {}",
                      unknown_name("policy", against, {policies.begin(), policies.end()}));
  }
  std::vector<Grid> grids;
  if (all.groups.size() > 1) {
    grids.push_back(table_of(all, all.groups, against));
    grids.back().title =
        fmt::format("Mean over {} tasks and lengths, paired with {}", all.groups.size(), against);
  }
  for (const Group& group : all.groups) {
    grids.push_back(table_of(all, {group}, against));
    const auto& [task, length, compress] = group;
    grids.back().title =
        fmt::format("{}, length {}, compress {}, paired with {}", task, length, compress, against);
  }
  return grids;
}

}  // namespace kvbench
