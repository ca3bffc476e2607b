// SPDX-License-Identifier: Apache-2.0
// The race itself, over anything that can be timed: a device, or a simulation in a test.
//
// Stages: first looks (two samples each, a third of those that seem slow; what is more than 2 x the best leaves) ->
// rounds (every contestant once, in random order, compared by the logarithm of time ratios within a round, so that
// drift cancels; losers leave by their confidence interval) -> pick within the class of equals, or whoever may still be
// faster than a present choice that looks best -> its confirmation against the present choice on fresh samples, because
// the one that looks best among many was also lucky. A hidden twin of the baseline takes part throughout and shows what
// the noise alone does. It does not check results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "backplane/autotune/outcome.h"

namespace backplane::autotune {

/// What the race knows about a contestant beside its times. Exactly one is the baseline: the default, or where that
/// gives wrong results whatever comes first.
struct Contestant {
  std::string name;
  uint64_t workspace = 0;
  uint32_t determinism = 0;
  bool is_baseline = false;
  bool is_incumbent = false;
};

class Course {
 public:
  virtual ~Course() = default;
  enum class State {
    timed,    ///< `ns` is the time of one launch
    failed,   ///< this contestant is out; `reason` says why and `verdict` what it is
    no_time,  ///< the next launch may end after the deadline, or somebody cancelled: the race ends here
  };
  struct Sample {
    State state = State::timed;
    double ns = 0;
    Verdict verdict = Verdict::failed;
    std::string reason;
  };
  /// Launches contestant i often enough for one sample, if that fits before `deadline_ns`.
  virtual Sample sample(size_t i, int64_t deadline_ns) = 0;
  virtual int64_t now_ns() = 0;
  /// Smallest difference of times that means something.
  virtual double resolution_ns() const { return 0; }
  /// From now on a sample should take about so long, where launches are shorter than that.
  virtual void aim(double /*sample_ns*/) {}
  virtual void on_round(const char* /*stage*/, uint32_t /*done*/, uint32_t /*of*/) {}
};

/// How long a sample should be where there is time for so many of them. Launches right after a pause are not like those
/// that follow: on PoCL samples of 100 us chose a variant that takes 16 % longer in 7 of 8 tunings of one product,
/// samples of 500 us in none (docs/results/2026-11-21-tuning.md). 20 steps of the clock, or where there is no time for
/// an eighth as many samples of that length fewer, down to 5.
double sample_length(double left_ns, size_t samples, double resolution_ns);

struct Rules {
  double hopeless = 2.0;     ///< x the best at first sight: out (never the baseline or the incumbent)
  double far_behind = 1.30;  ///< x the leader, median of 5 rounds or more: out
  double delta = 0.015;      ///< within this two variants are equal
  double margin = 0.02;      ///< a gain has to be larger to displace the present choice
  double negligible = 0.05;  ///< out of time, and no gain can be larger: that is a decision
  uint32_t min_rounds = 4, max_rounds = 96;
  uint32_t confirm_block = 8;
  uint32_t confirm_rounds = 96, max_confirm_rounds = 256;  ///< the first are enough; more where there is time
  double error_rate = 0.02;  ///< of the eliminations of one race, all together
  double confirm_z = 2.5;
  double chance_z = 1.96;    ///< of an interval that says who may be faster than a present choice that looks best
  /// A present choice that was measured before is evidence, too: it leaves only when the whole interval of the gain,
  /// this wide, lies beyond the margin.
  double incumbent_z = 3;
  double looks_share = 0.6;  ///< of the time until the deadline, at most: for first looks at all contestants
  double race_share = 0.4;   ///< of what is left then: confirmation has the rest
  /// For so many rounds of all that are left there should be time; samples are as long as that allows.
  uint32_t wanted_rounds = 64;
  uint64_t seed = 1;
  int64_t deadline_ns = std::numeric_limits<int64_t>::max();
};

struct Standing {
  Verdict verdict = Verdict::over_budget;
  std::string reason;
  std::vector<double> times;  ///< of one launch each
  Interval log_ratio;         ///< to the baseline
};

struct Result {
  std::vector<Standing> standings;  ///< one per contestant
  size_t chosen = 0;
  std::string why;
  bool decided = false;
  Interval noise;
  uint32_t rounds = 0;
};

Result race(Course& course, const std::vector<Contestant>& contestants, const Rules& rules);

}  // namespace backplane::autotune
