// Two cells on the samples that both answered, over one task or several.
#pragma once

#include <string>
#include <vector>

#include "harness/report/join.h"
#include "harness/results/intervals.h"

namespace kvbench {

// What a cell scored, and how far that is from another cell's score, on the samples that both
// answered.
struct Pairs {
  Stratum scores, differences;
};
Pairs pair_up(const Measured& mine, const Measured& theirs);

struct Comparison {
  double score = NAN;                      // mine on these samples, mean over the tasks
  Interval difference = {NAN, NAN, NAN};   // to theirs, each task weighing the same
  int64_t n = 0, n_contexts = 0;           // samples; different contexts
  int64_t wins = 0, ties = 0, losses = 0;  // samples
  double p = NAN;                          // sign_flip_p over contexts
  double p_holm = NAN;                     // in its family
  std::string verdict;  // "better" or "worse" where p_holm < 0.05, else "cannot tell"
};

// `tasks` has the pairs of each task; nothing (n = 0) where it is empty or one of them has none.
Comparison compare(const std::vector<Pairs>& tasks);

// Fills in what follows from standing together in one table: p_holm and verdict. Those with n = 0
// are in no family.
void judge_family(std::vector<Comparison>& family);

// "0.012", "< 0.001"; "" for nan.
std::string p_text(double p);

}  // namespace kvbench
