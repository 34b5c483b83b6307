// merge: the shards of a sweep, or runs that extend each other, become one file.
#include "harness/results/merge.h"

#include <fmt/format.h>

#include <stdexcept>

#include "harness/cli/verbs.h"
#include "harness/report/table.h"

namespace kvbench {
namespace {

// "0-3, 7": runs of ascending numbers.
std::string ranges_text(const std::vector<int64_t>& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1) ++end;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", numbers[i]);
    if (end > i) text += fmt::format("-{}", numbers[end]);
    i = end + 1;
  }
  return text;
}

std::string missing_text(const std::vector<MissingRows>& missing) {
  Table table{{{"task", "task"},
               {"length", "max_length", Style::kNumber},
               {"compress", "compress"},
               {"policy", "policy"},
               {"ratio", "ratio", Style::kNumber},
               {"shard", "shard", Style::kNumber},
               {"missing", "missing", Style::kNumber},
               {"samples", "samples"}},
              {{"Missing rows", {}}}};
  for (const MissingRows& rows : missing) {
    table.sections[0].rows.push_back({rows.cell.task, rows.cell.max_length, rows.cell.compress,
                                      rows.cell.policy, rows.cell.ratio, rows.shard,
                                      static_cast<int64_t>(rows.sample_ids.size()),
                                      ranges_text(rows.sample_ids)});
  }
  return render(table.for_people().front(), Format::kText);
}

}  // namespace

void add_merge(CLI::App& app) {
  struct Options {
    std::string out;
    std::vector<std::string> inputs;
  };
  auto* verb = app.add_subcommand("merge", "join the shards of a sweep, name what they lack");
  auto options = std::make_shared<Options>();
  verb->add_option("output", options->out, "the file that is written; one of an earlier merge goes")
      ->required();
  verb->add_option("files", options->inputs, "results files of one sweep")->required();
  verb->callback([options] {
    const Merged merged =
        merge_results(options->out, {options->inputs.begin(), options->inputs.end()});
    for (const auto& note : merged.notes) fmt::print(stderr, "kvbench: note: {}\n", note);
    if (!merged.missing.empty()) fmt::print("{}\n", missing_text(merged.missing));
    fmt::print("{}: {} rows of {} files{}{}\n", options->out, merged.n_rows, options->inputs.size(),
               merged.n_failed == 0 ? "" : fmt::format(", {} of them failed", merged.n_failed),
               merged.n_double == 0
                   ? ""
                   : fmt::format("; {} came twice and are kept once", merged.n_double));
    if (merged.complete) return;
    throw std::runtime_error(fmt::format(
        "{} is not complete: run the shards that lack rows again, or the sweep itself with "
        "--output {}",
        options->out, options->out));
  });
}

}  // namespace kvbench
