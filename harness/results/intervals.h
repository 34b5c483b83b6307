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
  double variance = NAN;  // of the mean
  double df = NAN;        // degrees of freedom of the variance
  double size = NAN;      // contexts, as many as would weigh the same
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

// 95 % interval of a mean of scores in [0, 100]: Wilson's score interval (1927) with Student's t
// for the normal quantile and the effective sample size mean (100 - mean) / variance for n (Korn
// and Graubard 1998; Dean and Pagano 2015 compare such intervals for clustered surveys).
Interval score_interval(const Estimate& estimate);

// 95 % interval of a mean of differences in [-100, 100]: mean -+ t sqrt(variance), within the
// range.
Interval difference_interval(const Estimate& estimate);

// Where all contexts say the same the variance is 0, which is no certainty. Both intervals are then
// what Wilson's is of n equal answers, n = size: a share t^2 / (n + t^2) of contexts not seen yet
// may be at either end of the range.

}  // namespace kvbench
