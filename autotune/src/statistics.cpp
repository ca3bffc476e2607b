// SPDX-License-Identifier: Apache-2.0
#include "statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace backplane::autotune {

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const size_t low = static_cast<size_t>(position), high = std::min(low + 1, values.size() - 1);
  return values[low] + (position - static_cast<double>(low)) * (values[high] - values[low]);
}

Interval trimmed_interval(std::vector<double> values, double z) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const size_t n = values.size();
  if (n == 0) return {0, -kInfinity, kInfinity};
  std::sort(values.begin(), values.end());
  const size_t cut = n / 5, left = n - 2 * cut;
  double mean = 0;
  for (size_t i = cut; i < n - cut; ++i) mean += values[i];
  mean /= static_cast<double>(left);
  if (n < 4) return {mean, -kInfinity, kInfinity};
  double winsorised = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) winsorised += values[std::clamp(i, cut, n - cut - 1)];
  winsorised /= static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    const double d = values[std::clamp(i, cut, n - cut - 1)] - winsorised;
    squares += d * d;
  }
  const double freedom = static_cast<double>(left - 1);
  const double error = std::sqrt(squares / (static_cast<double>(left) * freedom));
  // Cornish-Fisher expansion of Student's t in the normal quantile (Abramowitz and Stegun, 26.7.5).
  const double z3 = z * z * z;
  const double t = z + (z3 + z) / (4 * freedom) + (5 * z3 * z * z + 16 * z3 + 3 * z) / (96 * freedom * freedom);
  return {mean, mean - t * error, mean + t * error};
}

double normal_quantile(double alpha) {
  // Abramowitz and Stegun, 26.2.23; absolute error below 4.5e-4.
  const double t = std::sqrt(-2 * std::log(alpha / 2));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

}  // namespace backplane::autotune
