// SPDX-License-Identifier: Apache-2.0
// The statistics that `compare` decides with. Everything is seeded: the same files give the same verdicts.
#pragma once

#include <cstdint>
#include <vector>

namespace backplane::bench::report {

double median(std::vector<double> values);
/// 1.4826 x the median distance from the median: the standard deviation of normal data, and blind to less than half of
/// outliers.
double robust_deviation(const std::vector<double>& values);

/// Standard deviation of the log of the median, by bootstrap: stretches are drawn with replacement, then samples within
/// each, so that a drift that a stretch's samples share counts once per stretch and not once per sample; corrected for
/// few stretches as a standard deviation is, by m / (m - 1). `stretches` as in Row; values are positive.
double bootstrap_deviation(const std::vector<double>& values, const std::vector<int64_t>& stretches, uint64_t seed);

/// Probability of a |t| as large as this under Student's distribution; with kDegrees degrees of freedom, unless they
/// are known: as many as three runs of each build give. Differences between runs have heavy tails, and so has it.
inline constexpr int kDegrees = 4;
double two_sided_p(double t, int degrees = kDegrees);
/// Where two_sided_p is 0.05.
inline constexpr double kTFor95Percent = 2.7764;  ///< of kDegrees
double t_for_95_percent(int degrees);

/// Benjamini and Hochberg (1995), step-up: p-values adjusted so that those below q are together wrong in a share q at
/// the most. In the order given.
std::vector<double> adjusted_for_many(const std::vector<double>& p_values);

}  // namespace backplane::bench::report
