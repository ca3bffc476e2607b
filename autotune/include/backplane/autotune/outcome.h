// SPDX-License-Identifier: Apache-2.0
// What a tuning found out: one row per variant with its verdict and the reason, and the choice with why it was made.
//
// Plain data, kept whole by the store: losers too, since they explain the choice and are priors for the next tuning.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace backplane::autotune {

/// What became of a variant. Only `raced` can be chosen. The names are stored: append, never rename.
enum class Verdict {
  raced,             ///< right, and in the race until its end
  eliminated,        ///< right, and left the race as provably slower
  slow,              ///< right, and at first sight too slow to race
  wrong,             ///< results outside of the operation's error bound, or not written at all
  failed,            ///< the device refused it, or what it said of itself is not so
  overrun,           ///< wrote outside of its outputs and workspace
  changed_inputs,    ///< wrote into an input
  nondeterministic,  ///< promised the same bits in every run and gave others
  leaks,             ///< holds more memory after every launch
  slow_build,        ///< took longer to prepare than allowed
  crashed,           ///< took its (child) process down
  hung,              ///< did not end in time
  device_lost,       ///< made the device unusable
  over_budget,       ///< no time left to check it, or to race it
  policy,            ///< the op's or the request's policy forbids it: not run
  skipped,           ///< not run; `reason` says why
};
inline constexpr std::string_view kVerdictNames[] = {
    "raced", "eliminated", "slow",    "wrong", "failed",      "overrun",     "changed_inputs", "nondeterministic",
    "leaks", "slow_build", "crashed", "hung",  "device_lost", "over_budget", "policy",         "skipped"};
inline std::string_view name_of(Verdict verdict) { return kVerdictNames[static_cast<size_t>(verdict)]; }
/// `skipped` for a name of a newer version: nothing is known then that could be used.
inline Verdict verdict_of(std::string_view name) {
  const auto* const found = std::ranges::find(kVerdictNames, name);
  return found != std::end(kVerdictNames) ? static_cast<Verdict>(found - kVerdictNames) : Verdict::skipped;
}

/// True for variants that gave right results.
inline bool is_right(Verdict v) { return v == Verdict::raced || v == Verdict::eliminated || v == Verdict::slow; }
/// True when something is wrong with the variant itself, so that it is not worth another try until its code changes.
inline bool is_faulty(Verdict v) { return v >= Verdict::wrong && v <= Verdict::device_lost; }

/// What a variant did that makes another try too dangerous.
struct Failure {
  Verdict verdict = Verdict::crashed;
  std::string reason;
};

struct Times {  ///< of one launch
  double median_ns = 0, p10_ns = 0, p90_ns = 0;
  uint32_t samples = 0;  ///< 0: not timed
};

struct Interval {
  double mean = 0, low = 0, high = 0;
  double half_width() const { return (high - low) / 2; }
};

struct Candidate {
  std::string variant;
  bool is_default = false;
  Verdict verdict = Verdict::skipped;
  std::string reason;  ///< one sentence; empty for `raced`, unless it was kept from an earlier tuning
  Times times;
  Interval log_ratio;             ///< ln(time / time of the default), paired within rounds; zeros when not raced
  double error = 0, allowed = 0;  ///< at the worst element, relative to its magnitude; 0 of 0 = exact
  uint64_t workspace = 0;
  uint32_t numeric_notes = 0;  ///< BP_NOTE_*
  uint32_t determinism = 0;    ///< BP_DETERMINISM_*
  uint64_t build_ns = 0;       ///< time that prepare took
  uint64_t code_hash = 0;      ///< bp_variant.code_hash; 0: the build of the plugin stands for it
};

struct Outcome {
  std::vector<Candidate> candidates;  ///< the default first, then as they were tried
  std::string chosen;                 ///< variant name; empty when not even the default gives right results
  std::string why;                    ///< one sentence
  /// The choice rests on a finished race. False: cancelled, out of budget, device lost, or too noisy to tell; `chosen`
  /// is then the incumbent or the default, and the key should be tuned again.
  bool decided = false;
  Interval noise;                        ///< ln(time of a hidden twin of the default / time of the default): ideally 0
  std::string checked_by;                ///< the device whose results were taken as right
  uint32_t rounds = 0;                   ///< of the race and the confirmation together
  uint64_t budget_ns = 0, spent_ns = 0;  ///< of launches and checks
  uint64_t build_ns = 0;                 ///< spent on preparing, not part of the budget

  const Candidate* find(std::string_view variant) const {
    for (const Candidate& c : candidates) {
      if (c.variant == variant) return &c;
    }
    return nullptr;
  }
};

}  // namespace backplane::autotune
