#include "harness/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "harness/base/error.h"
#include "harness/base/names.h"
#include "harness/report/answer.h"
#include "harness/report/blocks.h"
#include "harness/report/cell_table.h"
#include "harness/report/decoding_table.h"
#include "harness/report/failures.h"
#include "harness/report/latency_table.h"
#include "harness/report/load.h"
#include "harness/report/longbench_table.h"
#include "harness/report/paired.h"
#include "harness/report/power.h"
#include "harness/report/summary.h"
#include "harness/report/verdicts.h"

namespace kvbench {
namespace {

constexpr double kDefaultWidth = 5;

Table power_of(const ReportOptions& options, const std::vector<Block>& blocks) {
  return power_table(blocks, options.against, options.width.value_or(kDefaultWidth));
}

Grid data_grid(const ReportOptions& options, const Joined& joined, const std::vector<Block>& blocks,
               const Table& verdicts) {
  const std::string& table = options.table;
  if (table == "summary") return summary_table(blocks).for_programs();
  if (table == "samples") return sample_data(blocks).for_programs();
  if (table == "latency") return latency_table(joined).for_programs();
  if (table == "memory") return memory_table(joined).for_programs();
  if (table == "decoding") return decoding_table(blocks).for_programs();
  if (table == "paired") return paired_table(blocks, options.against).for_programs();
  if (table == "power") return power_of(options, blocks).for_programs();
  if (table == "certify") return certify_table(blocks, *options.promise).for_programs();
  if (table == "longbench") return longbench_table(blocks).for_programs();
  if (table == "longbench_e") return longbench_e_table(blocks).for_programs();
  if (table == "targets") return verdicts.for_programs();
  return cell_data(blocks).for_programs();
}

std::vector<Grid> grids(const ReportOptions& options, const Joined& joined,
                        const std::vector<Block>& blocks, const Table& verdicts) {
  const std::string& table = options.table;
  std::vector<Grid> all;
  const auto add = [&](std::vector<Grid> more) {
    std::move(more.begin(), more.end(), std::back_inserter(all));
  };
  if (table.empty() || table == "summary") add(summary_grids(blocks));
  if (table.empty() || table == "longbench") add(longbench_table(blocks).for_people());
  if (table.empty() || table == "longbench_e") add(longbench_e_table(blocks).for_people());
  if (table.empty() || table == "cells") add(cell_table(blocks).for_people());
  if (table.empty()) {
    Grid failed = failure_table(joined);
    if (!failed.rows.empty()) add({std::move(failed)});
  }
  if (table == "samples") add(sample_table(blocks).for_people());
  if (table.empty() || table == "latency") add(latency_table(joined).for_people());
  if (table.empty() || table == "memory") add(memory_table(joined).for_people());
  if (table == "decoding" || (table.empty() && has_decoding(blocks))) {
    add(decoding_table(blocks).for_people());
  }
  if (table == "paired") add(paired_table(blocks, options.against).for_people());
  if (table == "power") add(power_of(options, blocks).for_people());
  if (table == "certify") add(certify_table(blocks, *options.promise).for_people());
  if (table == "targets") add(verdicts.for_people());
  return all;
}

// The words of `text` in lines of at most 100 columns, each after `indent`.
std::string wrapped(const std::string& text, const std::string& indent) {
  constexpr size_t kWidth = 100;
  std::istringstream words(text);
  std::string lines, line = indent;
  for (std::string word; words >> word;) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kWidth) {
      lines += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
  }
  return lines + line + "\n";
}

// Lines before the tables, as the format writes remarks.
std::string remarks(const std::vector<std::string>& lines, Format format) {
  const char* mark = format == Format::kLatex ? "% " : format == Format::kMarkdown ? "- " : "";
  std::string text;
  for (const auto& line : lines) text += fmt::format("{}{}\n", mark, line);
  return text;
}

// The question and the answer for each block.
std::string answers(const std::vector<Choices>& all, Format format) {
  std::vector<std::string> lines;
  for (const Choices& choices : all) lines.push_back(answer(choices));
  if (lines.empty()) return "";
  if (format == Format::kLatex) return remarks({kQuestion}, format) + remarks(lines, format);
  if (format == Format::kMarkdown) {
    return fmt::format("**{}**\n\n{}\n", kQuestion, remarks(lines, format));
  }
  std::string text = fmt::format("{}\n", kQuestion);
  for (const auto& line : lines) text += wrapped(line, "  ");
  return text + "\n";
}

void check(const ReportOptions& options) {
  const std::vector<std::string> known = {"summary",   "cells",       "samples", "latency",
                                          "memory",    "paired",      "power",   "certify",
                                          "longbench", "longbench_e", "targets", "decoding"};
  if (!options.table.empty() &&
      std::find(known.begin(), known.end(), options.table) == known.end()) {
    throw_input_error("--table: {}", unknown_name("table", options.table, known));
  }
  const bool has_against = !options.against.empty(), is_power = options.table == "power";
  if (options.table == "paired" ? !has_against : has_against && !is_power) {
    throw InputError("--against POLICY and --table paired go together (--power may have one, too)");
  }
  if (options.width && !is_power) throw InputError("--width W belongs to --power");
  if (options.width && !(*options.width > 0 && *options.width <= 100)) {
    throw_input_error("--width: {} is not above 0 and at most 100 points", *options.width);
  }
  if ((options.table == "certify") != options.promise.has_value()) {
    throw InputError("--table certify needs --certify risk=R, which stands beside no other table");
  }
  if ((options.table == "targets") != !options.targets.empty()) {
    throw InputError("--table targets needs --targets FILE, which stands beside no other table");
  }
}

}  // namespace

Report report(const std::vector<std::filesystem::path>& files, const ReportOptions& options) {
  check(options);
  Loaded loaded = load(files, options.regrade);
  const Joined& joined = loaded.joined;
  const auto blocks = blocks_of(joined);
  Report made;
  made.warnings = joined.warnings;
  Verdicts verdicts;
  if (options.table == "targets") verdicts = judge(blocks, options.targets);
  made.warnings.insert(made.warnings.end(), verdicts.remarks.begin(), verdicts.remarks.end());
  if (options.promise) {
    const auto lines = assumptions(*options.promise);
    made.warnings.insert(made.warnings.end(), lines.begin(), lines.end());
  }
  const bool is_data = options.format == Format::kCsv;
  Grid data;
  std::vector<Grid> shown;
  if (is_data) {
    data = data_grid(options, joined, blocks, verdicts.table);
  } else {
    shown = grids(options, joined, blocks, verdicts.table);
  }
  if (!options.table.empty() && (is_data ? data.rows.empty() : shown.empty())) {
    const bool is_isolated = options.table == "latency" || options.table == "memory";
    made.warnings.push_back(
        is_isolated ? "no isolated measurements: add `latency: {lengths: [4096]}` to the sweep"
        : options.table == "paired"
            ? fmt::format("no policy has samples in common with {}", options.against)
        : options.table == "certify" ? "no policy has samples in common with the full cache"
                                     : "no finished samples");
  }
  if (is_data) {
    made.text = render(data, options.format);
    return made;
  }
  made.text = remarks(made.warnings, options.format);
  if (options.table.empty()) made.text += answers(choices_of(joined, blocks), options.format);
  made.text += remarks(loaded.origins, options.format);
  if (options.format == Format::kLatex) made.text += "% needs \\usepackage{booktabs}\n";
  for (const Grid& grid : shown) made.text += fmt::format("\n{}", render(grid, options.format));
  return made;
}

}  // namespace kvbench
