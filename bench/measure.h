// SPDX-License-Identifier: Apache-2.0
// Timing on a machine that is not ours alone.
//
// A sample is a batch of calls of at least `sample_ns`. Contestants take turns, in an order that changes every round, with
// a pause before each so that spinning threads of the one do not slow the other. A round counts only if threads of this
// process waited for a processor for less than 1 % of every sample, and a short chain of dependent additions runs at 0.93 of
// its best speed on every core before and after. Rejected rounds are counted. Processor time is taken beside wall time:
// for work on one thread it still means something under load.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace backplane::bench {

using Call = std::function<void()>;

struct Options {
  int rounds = 15;             ///< accepted rounds wanted
  int64_t sample_ns = 2'000'000;
  double budget_s = 6;         ///< stop trying after so long; at least 3 rounds are then kept, quiet or not
  int cores = 1;               ///< cores that have to be quiet
};

struct Times {
  double median_ns = 0, p10_ns = 0, p90_ns = 0;  ///< of one call
  double cpu_ns = 0;  ///< processor time, median; that of other threads than the caller's may lag by a scheduler tick
};

struct Measurement {
  std::vector<Times> of;       ///< one per contestant
  int rounds = 0;              ///< used
  int rejected = 0;            ///< not used because a core was busy
  bool quiet = true;           ///< false: not enough quiet rounds, so busy ones were used
};

Measurement measure(const std::vector<Call>& contestants, const Options& options);
inline Measurement measure(const Call& call, const Options& options) {
  return measure(std::vector<Call>{call}, options);
}

/// Quantile of values, 0 to 1, by interpolation.
double quantile(std::vector<double> values, double q);

}  // namespace backplane::bench
