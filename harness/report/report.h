// What `report` prints: made from results files alone.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/report/certify.h"
#include "harness/report/grid.h"
#include "harness/report/targets.h"

namespace kvbench {

struct ReportOptions {
  // summary, cells, samples, latency, memory, decoding, paired, power, certify, longbench,
  // longbench_e or targets; empty = all but samples, paired, power, certify and targets, and what
  // failed (CSV: cells)
  std::string table = {};
  Format format = Format::kText;
  std::string against =
      {};  // the policy that the others are compared with: paired; power (else full)
  std::vector<Target> targets = {};     // targets: what the results are held against (verdicts.h)
  std::optional<double> width = {};     // power: the half-width wanted, in points; 5 where absent
  std::optional<Promise> promise = {};  // certify
  bool regrade = false;  // scores are made anew from the stored predictions (regrade.h)
};

struct Report {
  std::string text;
  // What a reader must know before the numbers: unfinished files, failed samples. Also at the top
  // of `text`, but not in CSV, which holds the table alone.
  std::vector<std::string> warnings;
};

// The rows of all files together (join.h), block by block (blocks.h). CSV is one table with a
// header and plain numbers: bytes, milliseconds, shares; what is not there is empty. Throws
// InputError for an unknown table and a file that cannot be read.
Report report(const std::vector<std::filesystem::path>& files, const ReportOptions& options);

}  // namespace kvbench
