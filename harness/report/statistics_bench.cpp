// How often intervals, verdicts and certificates keep their word, on simulated runs whose truth is
// known. Prints Markdown: build/statistics_bench [RUNS] (4000), see
// results/reference/statistics.md.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include "harness/base/random.h"
#include "harness/report/comparison.h"
#include "harness/report/risk_control.h"
#include "harness/results/intervals.h"

namespace kvbench {
namespace {

// One question asked of two policies: the luck of each, uniform in [0, 1), the same in half of the
// questions.
struct Luck {
  double mine, theirs;
};

Luck draw(Random& random) {
  const double mine = random.unit();
  return {mine, random.unit() < 0.5 ? mine : random.unit()};
}

// Score of a policy by its luck.
struct Scoring {
  std::string name;
  double (*mine)(double), (*theirs)(double);
  double mean, difference;  // the truth
};

double half(double luck) { return luck < 0.5 ? 100 : 0; }
double most(double luck) { return luck < 0.8 ? 100 : 0; }
double some(double luck) { return luck < 0.6 ? 100 : 0; }
double nearly_all(double luck) { return luck < 0.95 ? 100 : 0; }
double rather_all(double luck) { return luck < 0.9 ? 100 : 0; }
double graded(double luck) { return std::clamp(200 * luck - 60, 0.0, 100.0); }
double graded_lower(double luck) { return std::clamp(200 * luck - 80, 0.0, 100.0); }

const std::vector<Scoring> kScorings = {{"50 %, equal", half, half, 50, 0},
                                        {"80 % and 60 %", most, some, 80, 20},
                                        {"95 % and 90 %", nearly_all, rather_all, 95, 5},
                                        {"graded, 45 and 35", graded, graded_lower, 45, 10}};

// `n` contexts of a task with `questions` each (0: one to eight). A question has its context's luck
// with the probability sqrt(icc), which makes icc the correlation within a context.
Pairs simulate(Random& random, const Scoring& scoring, int n, int questions, double icc,
               const std::string& task = "") {
  Pairs pairs;
  const double share = std::sqrt(icc);
  for (int context = 0; context < n; ++context) {
    const Luck common = draw(random);
    const int64_t count = questions > 0 ? questions : random.between(1, 8);
    for (int64_t question = 0; question < count; ++question) {
      const Luck luck = random.unit() < share ? common : draw(random);
      const double mine = scoring.mine(luck.mine), theirs = scoring.theirs(luck.theirs);
      for (Stratum* stratum : {&pairs.scores, &pairs.differences}) {
        stratum->contexts.push_back(task + std::to_string(context));
      }
      pairs.scores.values.push_back(mine);
      pairs.differences.values.push_back(mine - theirs);
    }
  }
  return pairs;
}

bool holds(const Interval& interval, double truth) {
  constexpr double kRounding = 1e-9;
  return interval.low <= truth + kRounding && truth <= interval.high + kRounding;
}

// For comparison, what many harnesses print: percentiles of resampled contexts (questions of equal
// number alone).
Interval bootstrap(Random& random, const Stratum& stratum, size_t questions) {
  constexpr int kResamples = 500;
  const size_t n = stratum.values.size() / questions;
  std::vector<double> sums(n, 0.0), means;
  for (size_t i = 0; i < stratum.values.size(); ++i) sums[i / questions] += stratum.values[i];
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0;
    for (size_t j = 0; j < n; ++j) sum += sums[random.below(n)];
    means.push_back(sum / static_cast<double>(stratum.values.size()));
  }
  std::sort(means.begin(), means.end());
  return {NAN, means[kResamples / 40], means[kResamples - 1 - kResamples / 40]};
}

// Least and most of percentages.
struct Span {
  double least = 100, most = 0;

  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
  std::string text() const { return fmt::format("{:.1f} to {:.1f}", least, most); }
};

// How many percentages are as they should be.
struct Tally {
  int n = 0, n_within = 0, n_above = 0;

  void add(double percent) {
    ++n;
    n_within += percent >= 93 && percent <= 97 ? 1 : 0;
    n_above += percent > 97 ? 1 : 0;
  }
  std::string text() const {
    return fmt::format("{} of {} hold 93 to 97 %, {} more, {} less", n_within, n, n_above,
                       n - n_within - n_above);
  }
};

void print_coverage(int runs) {
  fmt::print(
      "| scores of the two policies | contexts | score, % held | difference, % held | "
      "bootstrap: score | bootstrap: difference |\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
  Random random(1);
  Tally all, several;  // several questions a context, of at least 20 contexts
  for (const Scoring& scoring : kScorings) {
    for (const int n : {10, 20, 50, 100}) {
      Span score, difference, old_score, old_difference;
      for (const int questions : {1, 3, 5}) {
        for (const double icc : {0.05, 0.3, 0.7}) {
          if (questions == 1 && icc > 0.05) continue;
          int counts[4] = {};
          const int few = runs / 8;  // the bootstrap is slow
          for (int run = 0; run < runs; ++run) {
            const Pairs pairs = simulate(random, scoring, n, questions, icc);
            const auto of = [&](const Stratum& stratum) { return estimate_mean({stratum}); };
            counts[0] += holds(score_interval(of(pairs.scores)), scoring.mean) ? 1 : 0;
            counts[1] +=
                holds(difference_interval(of(pairs.differences)), scoring.difference) ? 1 : 0;
            if (run >= few) continue;
            const auto q = static_cast<size_t>(questions);
            counts[2] += holds(bootstrap(random, pairs.scores, q), scoring.mean) ? 1 : 0;
            counts[3] += holds(bootstrap(random, pairs.differences, q), scoring.difference) ? 1 : 0;
          }
          for (const int i : {0, 1}) {
            const double percent = 100.0 * counts[i] / runs;
            (i == 0 ? score : difference).add(percent);
            all.add(percent);
            if (questions > 1 && n >= 20) several.add(percent);
          }
          old_score.add(100.0 * counts[2] / few);
          old_difference.add(100.0 * counts[3] / few);
        }
      }
      fmt::print("| {} | {} | {} | {} | {} | {} |\n", scoring.name, n, score.text(),
                 difference.text(), old_score.text(), old_difference.text());
    }
  }
  fmt::print("\nOf all cells {}. Of those with 20 contexts and more and several questions {}.\n",
             all.text(), several.text());
}

// Averages over tasks, and contexts with unequal numbers of questions.
void print_averages(int runs) {
  fmt::print(
      "| run | contexts of a task | score, % held | difference, % held |\n"
      "| --- | ---: | ---: | ---: |\n");
  Random random(2);
  for (const auto& [name, n_tasks, questions] :
       {std::tuple{"one task, 1 to 8 questions a context", 1, 0},
        std::tuple{"mean of 4 tasks, 3 questions a context", 4, 3},
        std::tuple{"mean of 12 tasks, 1 question a context", 12, 1}}) {
    for (const int n : {10, 20, 50}) {
      int n_scores = 0, n_differences = 0;
      for (int run = 0; run < runs; ++run) {
        std::vector<Stratum> scores, differences;
        double mean = 0, difference = 0;
        for (int task = 0; task < n_tasks; ++task) {
          const Scoring& scoring = kScorings[static_cast<size_t>(task + 1) % kScorings.size()];
          Pairs pairs = simulate(random, scoring, n, questions, 0.3, std::to_string(task) + " ");
          scores.push_back(std::move(pairs.scores));
          differences.push_back(std::move(pairs.differences));
          mean += scoring.mean / n_tasks;
          difference += scoring.difference / n_tasks;
        }
        n_scores += holds(score_interval(estimate_mean(scores)), mean) ? 1 : 0;
        n_differences += holds(difference_interval(estimate_mean(differences)), difference) ? 1 : 0;
      }
      fmt::print("| {} | {} | {:.1f} | {:.1f} |\n", name, n, 100.0 * n_scores / runs,
                 100.0 * n_differences / runs);
    }
  }
}

void print_families(int tables) {
  fmt::print(
      "| lines of a table | contexts | tables with a false verdict, % | the same without Holm, % | "
      "20 points found, % |\n| ---: | ---: | ---: | ---: | ---: |\n");
  Random random(3);
  for (const int lines : {6, 30}) {
    for (const int n : {10, 20, 50, 100}) {
      int n_false = 0, n_uncorrected = 0, n_found = 0;
      for (int table = 0; table < tables; ++table) {
        // The last line is better by 20 points, all others are equal to what they stand against.
        std::vector<Comparison> family;
        for (int line = 0; line < lines; ++line) {
          family.push_back(
              compare({simulate(random, kScorings[line + 1 < lines ? 0 : 1], n, 3, 0.3)}));
        }
        judge_family(family);
        bool is_false = false, is_uncorrected = false;
        for (int line = 0; line + 1 < lines; ++line) {
          const Comparison& comparison = family[static_cast<size_t>(line)];
          is_false |= comparison.verdict != "cannot tell";
          is_uncorrected |= comparison.p < 0.05;
        }
        n_false += is_false ? 1 : 0;
        n_uncorrected += is_uncorrected ? 1 : 0;
        n_found += family.back().verdict == "better" ? 1 : 0;
      }
      fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.1f} |\n", lines, n, 100.0 * n_false / tables,
                 100.0 * n_uncorrected / tables, 100.0 * n_found / tables);
    }
  }
}

// Contexts of three questions, each lost at a ratio with the probability of the curve there.
Losses workload(Random& random, const std::vector<double>& curve, int n) {
  Losses losses(curve.size());
  for (int context = 0; context < n; ++context) {
    constexpr int kQuestions = 3;
    const double common = random.unit();
    double lucks[kQuestions];
    for (double& luck : lucks) luck = random.unit() < std::sqrt(0.3) ? common : random.unit();
    for (size_t i = 0; i < curve.size(); ++i) {
      const auto n_lost = std::count_if(std::begin(lucks), std::end(lucks),
                                        [&](double luck) { return luck < curve[i]; });
      losses[i].push_back(static_cast<double>(n_lost) / kQuestions);
    }
  }
  return losses;
}

void print_certificates(int workloads) {
  fmt::print(
      "| true loss along the ratios | risk | contexts | certified: broken, % | ratios certified of "
      "possible | in expectation: broken, % | its mean loss |\n"
      "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  Random random(4);
  const std::vector<double> crossing = {0.1, 0.3, 0.5, 0.7, 0.9, 1.05, 1.3, 1.7, 2.5};
  for (const bool is_edge : {false, true}) {
    for (const double risk : {0.05, 0.1}) {
      for (const int n : {60, 100, 300, 1000}) {
        std::vector<double> curve;  // the true losses
        for (const double share : crossing) curve.push_back(risk * (is_edge ? 1.001 : share));
        const auto n_possible =
            std::count_if(curve.begin(), curve.end(), [&](double loss) { return loss <= risk; });
        int n_broken = 0, n_broken_expected = 0;
        double certified = 0, expected_loss = 0;
        for (int i = 0; i < workloads; ++i) {
          const Losses losses = workload(random, curve, n);
          const size_t sure = learn_then_test(losses, risk, 0.95);
          const size_t expected = conformal_risk_control(losses, risk);
          n_broken += sure > 0 && curve[sure - 1] > risk ? 1 : 0;
          n_broken_expected += expected > 0 && curve[expected - 1] > risk ? 1 : 0;
          certified += static_cast<double>(sure) / workloads;
          expected_loss += (expected > 0 ? curve[expected - 1] : 0) / workloads;
        }
        fmt::print("| {} | {} | {} | {:.1f} | {:.1f} of {} | {:.1f} | {:.4f} |\n",
                   is_edge ? "just above the risk at all" : "rises through the risk", risk, n,
                   100.0 * n_broken / workloads, certified, n_possible,
                   100.0 * n_broken_expected / workloads, expected_loss);
      }
    }
  }
}

}  // namespace
}  // namespace kvbench

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 4000;
  if (runs < 100) {
    fmt::print(stderr, "statistics_bench [RUNS], at least 100\n");
    return 2;
  }
  fmt::print("## Coverage of the 95 % intervals, {} runs a cell\n\n", runs);
  kvbench::print_coverage(runs);
  fmt::print("\n## Averages and unequal contexts\n\n");
  kvbench::print_averages(runs);
  fmt::print("\n## Family error of the verdicts, {} tables a line\n\n", runs / 4);
  kvbench::print_families(runs / 4);
  fmt::print("\n## Certificates, {} workloads a line\n\n", runs / 4);
  kvbench::print_certificates(runs / 4);
}
