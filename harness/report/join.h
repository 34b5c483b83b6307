// The rows of several results files together, each sample of a cell once.
#pragma once

#include <string>
#include <vector>

#include "harness/results/intervals.h"
#include "harness/results/results_file.h"
#include "harness/results/rows.h"

namespace kvbench {

// A cell of one or more files with the samples that any of them holds.
struct Measured {
  size_t run;    // of `Joined::runs`: the first file that has the cell
  CellRow cell;  // derived from `rows`
  std::vector<SampleRow> rows;
};

struct MeasuredLatency {
  size_t run;
  LatencyRow row;
};

struct Joined {
  std::vector<RunInfo> runs;    // one a file
  std::vector<Measured> cells;  // in configuration order, those of the first file first
  std::vector<MeasuredLatency> latency;
  std::vector<std::string> warnings;  // what a reader must know before the numbers
};

// Samples with the same cell, hash and number are one: the first file's row is taken, unless it
// failed and a later one did not; rows that answer differently are counted in a warning. A policy
// has one name everywhere, that of its first row, and different policies have different ones
// ("snapkv#1a2b" where two are called snapkv). Files of schemas 1 and 2 get what they lack: a
// sample is known by its number, counts as a context, and cells of one task, length and compress
// mode are about the same samples.
Joined join(std::vector<Results> files);

// Of the samples that did not fail.
Stratum scores_of(const Measured& measured);

// Whether the cell keeps the whole cache: what others are compared with.
bool is_full(const CellRow& cell);

// "0.5"; "-" for nan, a policy with a budget of its own.
std::string ratio_text(double ratio);

}  // namespace kvbench
