// SPDX-License-Identifier: Apache-2.0
// From what was measured to the fields of a row.
#pragma once

#include <optional>
#include <vector>

#include "backplane/autotune/outcome.h"
#include "measure.h"
#include "report/results.h"

namespace backplane::bench {

/// 95 % interval of a quantile by ranks, whatever the distribution; nothing below 6 samples, where there is none.
std::optional<report::Interval> quantile_interval(std::vector<double> samples, double q);
std::optional<report::Interval> median_interval(std::vector<double> samples);

/// Row i of what ran interleaved is `contestant`. Sets the times, samples, quiet and the status.
void fill_times(report::Row& row, const Measurement& m, size_t contestant, report::Clock clock);
/// Time of one contestant over another's, paired within rounds.
report::Ratio paired_ratio(const Measurement& m, size_t contestant, size_t base);

/// Right, though there may have been no time left for the tuner's own race.
bool passed_check(const autotune::Candidate& candidate);
/// Status and reason, error and compile time of what the tuner tried.
void fill_verdict(report::Row& row, const autotune::Candidate& candidate);

/// At most `most` samples: every second, third ... round, and the stretches with them.
void thin(std::vector<double>& samples, std::vector<int64_t>& stretches, size_t most);

}  // namespace backplane::bench
