#include "harness/base/distributions.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/base/error.h"

namespace kvbench {
namespace {

// Converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kPrecision = 1e-15;
  constexpr int kMostTerms = 100000;  // about sqrt(max(a, b)) are needed
  const auto nonzero = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / nonzero(1 - (a + b) * x / (a + 1)), fraction = d;
  for (int m = 1; m < kMostTerms; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / nonzero(1 + even * d);
    c = nonzero(1 + even / c);
    fraction *= d * c;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / nonzero(1 + odd * d);
    c = nonzero(1 + odd / c);
    fraction *= d * c;
    if (std::abs(d * c - 1) < kPrecision) break;
  }
  return fraction;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  KVB_CHECK(a > 0 && b > 0 && x >= 0 && x <= 1, "I_{}({}, {})", x, a, b);
  if (x == 0 || x == 1) return x;
  const double front = std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) +
                                a * std::log(x) + b * std::log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_t_quantile(double p, double df) {
  KVB_CHECK(p > 0 && p < 1 && df > 0, "quantile {} of t with {} degrees of freedom", p, df);
  if (p < 0.5) return -student_t_quantile(1 - p, df);
  df = std::min(df, 1e6);  // the normal quantile but for the sixth digit
  // P(T > t) = I_x(df / 2, 1 / 2) / 2 with x = df / (df + t^2), so x is found by halving.
  double low = 0, high = 1;
  for (int i = 0; i < std::numeric_limits<double>::digits + 10; ++i) {
    const double x = (low + high) / 2;
    (incomplete_beta(df / 2, 0.5, x) / 2 < 1 - p ? low : high) = x;
  }
  return std::sqrt(df * (1 - high) / high);
}

double binomial_cdf(int64_t k, int64_t n, double p) {
  KVB_CHECK(n > 0 && p >= 0 && p <= 1, "Binomial({}, {})", n, p);
  if (k < 0) return 0;
  if (k >= n) return 1;
  return incomplete_beta(static_cast<double>(n - k), static_cast<double>(k + 1), 1 - p);
}

}  // namespace kvbench
