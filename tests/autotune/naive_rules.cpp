// SPDX-License-Identifier: Apache-2.0
#include "naive_rules.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "statistics.h"

namespace backplane::test {
namespace {

constexpr int kSamples = 20;
constexpr int64_t kNoDeadline = std::numeric_limits<int64_t>::max();

size_t least(const std::vector<double>& times) {
  return static_cast<size_t>(std::min_element(times.begin(), times.end()) - times.begin());
}

size_t by_one_sample(autotune::Course& course, size_t variants) {
  std::vector<double> times;
  for (size_t i = 0; i < variants; ++i) times.push_back(course.sample(i, kNoDeadline).ns);
  return least(times);
}

/// All samples of one, then all of the next, as a loop around a benchmark does.
size_t by_mean(autotune::Course& course, size_t variants) {
  std::vector<double> means;
  for (size_t i = 0; i < variants; ++i) {
    double sum = 0;
    for (int s = 0; s < kSamples; ++s) sum += course.sample(i, kNoDeadline).ns;
    means.push_back(sum / kSamples);
  }
  return least(means);
}

/// Interleaved and robust, so that neither drift nor outliers matter; but the fastest wins without confirmation.
size_t by_median_of_rounds(autotune::Course& course, size_t variants) {
  std::vector<std::vector<double>> times(variants);
  for (int s = 0; s < kSamples; ++s) {
    for (size_t i = 0; i < variants; ++i) times[i].push_back(course.sample(i, kNoDeadline).ns);
  }
  std::vector<double> medians;
  for (const std::vector<double>& each : times) medians.push_back(autotune::quantile(each, 0.5));
  return least(medians);
}

constexpr NaiveRule kRules[] = {
    {"one sample of each", by_one_sample},
    {"least mean", by_mean},
    {"least median, not confirmed", by_median_of_rounds},
};

}  // namespace

std::span<const NaiveRule> naive_rules() { return kRules; }

}  // namespace backplane::test
