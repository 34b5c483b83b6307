// Means over tasks and their 95 % intervals, clustered by context: answers about one context are
// not independent, so the context is what counts.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace kvbench {

struct Interval {
  double mean, low, high;  // nan = cannot tell
};

// Values of one task: values[i] was measured on the context contexts[i].
struct Stratum {
  std::vector<double> values;
  std::vector<std::string> contexts;
};

// What the contexts say about a mean. nan = cannot tell.
struct Estimate {
  double mean = NAN;
  double magnitude = NAN;  // mean of the absolute values
  double variance = NAN;   // of the mean
  double df = NAN;         // degrees of freedom of the variance
  double size = NAN;       // contexts, as many as would weigh the same
  double n_varied = NAN;   // contexts whose mean is not their stratum's most frequent one
};

// The mean over the strata of their means, each weighing the same. The variance is that of a ratio
// estimator with whole contexts as units, by linearisation, n / (n - 1) in each stratum (Cochran,
// Sampling Techniques, 1977, 6.4 and 11.8); a context that several strata ask about is one unit in
// all of them. Degrees of freedom by Satterthwaite (1946), at most contexts - 1; size =
// 1 / sum of squared weights (Kish 1965). The order of values does not matter. A stratum of one
// context leaves all but the mean nan, one of none (or no stratum) the mean too.
Estimate estimate_mean(const std::vector<Stratum>& strata);

// How much each context adds to that mean, by its id; nan is passed on.
std::map<std::string, double> context_parts(const std::vector<Stratum>& strata);

// Both intervals below are score intervals of a proportion with an effective sample size for n and
// Student's t for the normal quantile, as for surveys in clusters (Korn and Graubard 1998; Dean and
// Pagano 2015). The effective size is what makes the proportion's variance that of the estimate:
// (magnitude - mean^2) / variance, in units of the range. Of k contexts that differ from the rest
// it is known k^2 to 1; the 1 stands for contexts whose answers are all alike, n = size. So equal
// scores, whose variance is 0, are no certainty, and one that is nearly equal changes little.
// Student's t has 3 df: the proportion's variance follows the mean, only the effect of clusters is
// estimated. k^2 and 3 were chosen by simulation (results/reference/statistics.md).

// 95 % interval of a mean of scores in [0, 100], by Wilson (1927).
Interval score_interval(const Estimate& estimate);

// 95 % interval of a mean of paired differences in [-100, 100], by Tango (1998), with the means of
// gains and losses for the two proportions of discordant pairs.
Interval difference_interval(const Estimate& estimate);

}  // namespace kvbench
