// Whether a mean of paired differences is more than chance.
#pragma once

#include <vector>

namespace kvbench {

// Two-sided p-value of the mean of paired differences, whose `parts` are what each context adds to
// it (context_parts of results/intervals.h). Were the two policies alike, each context's part could
// as well have the other sign (Fisher 1935): p is the share of all choices of signs with a sum as
// far from 0 or farther. Up to 14 parts that are not 0 all choices are tried; else 19999 of a fixed
// seed, p = (1 + farther) / 20000 (Phipson and Smyth 2010). 1 where every part is 0; nan where one
// is not a number.
double sign_flip_p(const std::vector<double>& parts);

// Holm's (1979) adjusted p-values: below 0.05 are those whose family of all `p` has a false one
// among them with probability 0.05 at most. A nan is in no family.
std::vector<double> holm(const std::vector<double>& p);

}  // namespace kvbench
