// SPDX-License-Identifier: Apache-2.0
// Is one build slower than another, from runs of both that took turns?
//
// Each round is one run of each in processes of their own, which take turns row by row, window by window
// (bench/turns.h). So the log-ratio of a row within a round, the median over neighbouring windows, knows nothing of what
// the machine does meanwhile, and the scatter of these over the rounds is all the noise there is, memory that lies
// elsewhere in each process included: nothing has to be assumed. A trimmed mean with its standard error (Yuen 1974) does
// not mind a disturbed round in five.
#pragma once

#include <vector>

#include "report/compare.h"

namespace backplane::bench::report {

inline constexpr size_t kFewestRounds = 4;      ///< with a quiet machine; a row with fewer is ambiguous
inline constexpr double kLeastDifference = 0.01;  ///< of the time; how code happens to lie in memory makes as much

/// The mean of what is left without the lowest and highest fifth, its standard error and degrees of freedom.
struct TrimmedMean {
  double mean = 0, error = 0;
  int degrees = 1;
};
TrimmedMean trimmed_mean(std::vector<double> values);  ///< of at least two

/// before[i] and after[i] are a round. `looks`: how often these rows have been compared so far, this one included;
/// measuring again until chance is kind must not pay. The result points into rows of the first round that timed both,
/// whose medians become those over all rounds.
Comparison compare_paired(std::vector<Run>& before, std::vector<Run>& after, int looks = 1);

}  // namespace backplane::bench::report
