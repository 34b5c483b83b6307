#include "harness/report/answer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/report/paired.h"

namespace kvbench {
namespace {

// "62.5 [51.0, 73.8]"; the brackets only where there is an interval.
std::string shown(const Interval& interval, bool has_sign = false) {
  const auto number = [&](double value) {
    return has_sign ? fmt::format("{:+.1f}", value) : fmt::format("{:.1f}", value);
  };
  if (std::isnan(interval.low)) return number(interval.mean) + " (no interval: one context)";
  return fmt::format("{} [{}, {}]", number(interval.mean), number(interval.low),
                     number(interval.high));
}

std::string name(const Choice& choice) {
  return std::isnan(choice.ratio)
             ? fmt::format("{} (its own budget)", choice.policy)
             : fmt::format("{} at ratio {}", choice.policy, ratio_text(choice.ratio));
}

std::string mebibytes(double bytes) { return fmt::format("{:.2f}", bytes / (1024 * 1024)); }

std::string sample_count(const Choice& choice) {
  const std::string contexts =
      choice.n_contexts < choice.n ? fmt::format(" about {} contexts", choice.n_contexts) : "";
  return fmt::format("n = {}{}", choice.n, contexts);
}

// "It keeps 20.0 % of the KV cache, 3.07 of 15.35 MiB. TPOT: 9.1 ms beside the full cache's 11.2,
// TTFT 812 beside 790, at 1024 tokens."
std::string cost(const Choice& choice, const std::optional<Choice>& full) {
  std::string text =
      fmt::format("It keeps {:.1f} % of the KV cache, {}{} MiB a sequence", 100 * choice.kept_ratio,
                  mebibytes(choice.kv_bytes), full ? " of " + mebibytes(full->kv_bytes) : "");
  if (std::isnan(choice.tpot_ms)) return text + "; its TPOT was not measured.";
  const bool has_both = full && full->latency_tokens == choice.latency_tokens;
  const auto beside = [&](double value) {
    return has_both ? fmt::format(" beside the full cache's {:.1f}", value) : "";
  };
  return text + fmt::format("; TPOT {:.1f} ms{}, TTFT {:.1f} ms{}, at {} tokens.", choice.tpot_ms,
                            beside(has_both ? full->tpot_ms : NAN), choice.ttft_ms,
                            beside(has_both ? full->ttft_ms : NAN), choice.latency_tokens);
}

// The policies at the ratio of `best` that are not worse for sure, sample by sample.
std::string rivals(const Choice& best, const Block& block) {
  const Table table = paired_table({block}, best.policy);
  std::vector<std::string> same;
  const std::string together = block.tasks.size() > 1 ? "average" : block.tasks[0];
  for (const TableRow& row : rows_of(table)) {
    if (row.text("task") == together && row.text("ratio") == Value(best.ratio).text &&
        row.text("verdict") == "cannot tell") {
      same.push_back(row.text("policy"));
    }
  }
  if (same.empty()) return "";
  return fmt::format(" At this ratio it cannot be told from {}.", fmt::join(same, ", "));
}

std::string without_full(const std::vector<const Choice*>& choices) {
  std::string text =
      "There is no full cache to compare with, so what compression costs in score "
      "cannot be told. Best at each budget:";
  std::set<double> seen;
  for (const Choice* choice : choices) {
    if (!seen.insert(choice->removed).second) continue;
    text += fmt::format("{} {}, score {} ({})", seen.size() > 1 ? ";" : "", name(*choice),
                        shown(choice->score), sample_count(*choice));
  }
  return text + ".";
}

}  // namespace

std::string answer(const Choices& choices) {
  const std::vector<const Choice*> usable = by_budget(choices.policies);
  int64_t n_errors = choices.full ? choices.full->n_errors : 0;
  for (const Choice& choice : choices.policies) n_errors += choice.n_errors;
  std::string text = fmt::format("{}: ", choices.block->title);
  const std::string failures =
      n_errors == 0 ? "" : fmt::format(" {} samples failed and count nowhere.", n_errors);
  const size_t n_left_out = choices.policies.size() - usable.size();
  const std::string left_out = n_left_out == 0
                                   ? ""
                                   : fmt::format(" {} of {} lack a task and are left out.",
                                                 n_left_out, choices.policies.size());
  const bool has_full = choices.full && !std::isnan(choices.full->score.mean);
  if (usable.empty()) {
    text += has_full ? fmt::format(
                           "only the full cache is complete, score {} ({}); nothing to "
                           "choose from.",
                           shown(choices.full->score), sample_count(*choices.full))
                     : std::string("no policy has finished samples of every task; cannot tell.");
    return text + left_out + failures;
  }
  if (!has_full) return text + without_full(usable) + left_out + failures;

  const std::string full = fmt::format("the full cache scores {} ({})", shown(choices.full->score),
                                       sample_count(*choices.full));
  const auto is_good = [](const Choice* choice) { return choice->difference.low >= -kMargin; };
  const auto is_bad = [](const Choice* choice) { return choice->difference.high < -kMargin; };
  const auto good = std::find_if(usable.begin(), usable.end(), is_good);
  if (good != usable.end()) {
    const Choice& best = **good;
    text += fmt::format(
        "{}, which scores {} ({}). Against the full cache, {}: {}, so it loses at "
        "most {:.1f} points, within the {} that are allowed here. {}",
        name(best), shown(best.score), sample_count(best), shown(choices.full->score),
        shown(best.difference, true), std::max(0.0, -best.difference.low), kMargin,
        cost(best, choices.full));
    text += rivals(best, *choices.block);
  } else {
    const bool all_bad = std::all_of(usable.begin(), usable.end(), is_bad);
    const auto nearest =
        std::max_element(usable.begin(), usable.end(), [](const Choice* a, const Choice* b) {
          return std::pair(a->difference.mean, a->removed) <
                 std::pair(b->difference.mean, b->removed);
        });
    text += all_bad ? fmt::format("none. Every policy loses more than {} points; ", kMargin)
                    : fmt::format("cannot tell. No policy is shown to lose at most {} points; ",
                                  kMargin);
    text += fmt::format("{}. Nearest is {}, score {} ({}), {} against it. {}", full,
                        name(**nearest), shown((*nearest)->score), sample_count(**nearest),
                        shown((*nearest)->difference, true), cost(**nearest, choices.full));
    if (!all_bad) text += " More samples narrow the interval.";
  }
  if (usable.size() > 1) {
    text += fmt::format(
        " {} choices of policy and ratio were compared, each by its own 95 % "
        "interval.",
        usable.size());
  }
  return text + left_out + failures;
}

}  // namespace kvbench
