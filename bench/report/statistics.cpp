// SPDX-License-Identifier: Apache-2.0
#include "report/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <random>

namespace backplane::bench::report {

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

double robust_deviation(const std::vector<double>& values) {
  const double centre = median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::abs(value - centre));
  return 1.4826 * median(std::move(distances));
}

double bootstrap_deviation(const std::vector<double>& values, const std::vector<int64_t>& stretches, uint64_t seed) {
  constexpr int kReplicates = 500;
  std::vector<size_t> ends;  // of the stretches
  for (const int64_t length : stretches) ends.push_back((ends.empty() ? 0 : ends.back()) + static_cast<size_t>(length));
  if (ends.empty() || ends.back() != values.size()) ends = {values.size()};
  std::mt19937_64 engine(seed);
  // Not std::uniform_int_distribution: its numbers differ between libraries.
  const auto below = [&engine](size_t limit) { return static_cast<size_t>(engine() % limit); };

  std::vector<double> logs, drawn;
  for (int i = 0; i < kReplicates; ++i) {
    drawn.clear();
    for (size_t k = 0; k < ends.size(); ++k) {
      const size_t stretch = below(ends.size());
      const size_t begin = stretch == 0 ? 0 : ends[stretch - 1], length = ends[stretch] - begin;
      for (size_t n = 0; n < length; ++n) drawn.push_back(values[begin + below(length)]);
    }
    if (!drawn.empty()) logs.push_back(std::log(median(drawn)));
  }
  // Half of the middle 68 %: a few replicates that drew nothing but interrupted samples do not count.
  std::sort(logs.begin(), logs.end());
  const auto at = [&logs](double share) {
    return logs[static_cast<size_t>(share * static_cast<double>(logs.size() - 1))];
  };
  const double deviation = (at(0.8413) - at(0.1587)) / 2;
  const auto stretch_count = static_cast<double>(ends.size());
  const double correction = ends.size() > 1 ? stretch_count / (stretch_count - 1) : 1;
  return std::sqrt(correction) * deviation;
}

double two_sided_p(double t, int degrees) {
  // Abramowitz and Stegun, 26.7.3 for an odd and 26.7.4 for an even number of degrees: finite series.
  const double angle = std::atan(std::abs(t) / std::sqrt(static_cast<double>(degrees)));
  const double cosine = std::cos(angle), sine = std::sin(angle);
  const bool odd = degrees % 2 == 1;
  double term = odd ? cosine : 1, sum = degrees == 1 ? 0 : term;
  for (int k = odd ? 3 : 2; k < degrees; k += 2) sum += term *= cosine * cosine * (k - 1) / k;
  const double within = odd ? 2 / std::numbers::pi * (angle + sine * sum) : sine * sum;
  return std::max(0.0, 1 - within);
}

double t_for_95_percent(int degrees) {
  double low = 0, high = 100;  // one degree has 12.7
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (two_sided_p(middle, degrees) > 0.05 ? low : high) = middle;
  }
  return high;
}

std::vector<double> adjusted_for_many(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p_values[a] > p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  const auto count = static_cast<double>(p_values.size());
  double least = 1;
  for (size_t i = 0; i < order.size(); ++i) {  // from the largest
    least = std::min(least, p_values[order[i]] * count / static_cast<double>(order.size() - i));
    adjusted[order[i]] = least;
  }
  return adjusted;
}

}  // namespace backplane::bench::report
