// Distribution functions that intervals and tests need.
#pragma once

#include <cstdint>

namespace kvbench {

// The regularised incomplete beta function I_x(a, b), a and b > 0, x in [0, 1]. Relative error
// below 1e-10. Continued fraction of Press et al., Numerical Recipes, 6.4 (modified Lentz).
double incomplete_beta(double a, double b, double x);

// The number below which Student's t with `df` > 0 degrees of freedom (any real number) lies with
// the probability p in (0, 1).
double student_t_quantile(double p, double df);

// P(X <= k) of X ~ Binomial(n, p), p in [0, 1], n > 0.
double binomial_cdf(int64_t k, int64_t n, double p);

}  // namespace kvbench
