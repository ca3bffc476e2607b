// SPDX-License-Identifier: Apache-2.0
// Is the new run faster or slower than the old one, case by case?
//
// Stages: rows that were measured in both are paired by identity -> the median log-ratio of each pair, with a standard
// deviation of two parts: what the samples scatter (bootstrap over stretches of time) and what differs from run to run
// although nothing changed (run_noise) -> Student's t, adjusted for the number of pairs -> a verdict.
//
// A difference is believed when it is beyond chance among so many pairs AND larger than twice the run noise; never of
// rows that were measured beside other programs. Nothing decides whether a change is welcome; compare_main's exit code
// asks for a slowdown beyond --fail-on.
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "report/results.h"

namespace backplane::bench::report {

enum class Verdict {
  faster,
  slower,
  same,       ///< the interval lies within kSame of no change
  ambiguous,  ///< neither believed to differ nor known to be the same: measure again
};
template <>
inline constexpr std::array<std::string_view, 4> kNames<Verdict> = {"faster", "slower", "same", "ambiguous"};

inline constexpr double kSame = 0.05;          ///< of the time
inline constexpr double kFalseShare = 0.05;    ///< of the differences believed, how many may be chance
inline constexpr double kLeastNoise = 0.005;   ///< no two runs are believed to agree better
inline constexpr double kAssumedNoise = 0.03;  ///< where the runs do not say and there are too few pairs to tell
inline constexpr size_t kFewestSamples = 5;    ///< on each side; with fewer a pair is ambiguous

struct Pair {
  const Row* before = nullptr;
  const Row* after = nullptr;
  double ratio = 1;   ///< median after / median before
  Interval interval;  ///< of the ratio, 95 %, run noise included
  Verdict verdict = Verdict::ambiguous;
  std::string why;  ///< of an ambiguous one
};

struct Comparison {
  std::vector<Pair> pairs;
  std::map<std::string, double> run_noise;  ///< by device: standard deviation of log medians from run to run
  std::vector<const Row*> vanished;         ///< measured before; now with a reason instead of a time
  std::vector<const Row*> appeared;         ///< measured now, not before
  size_t unpaired = 0;                      ///< rows of which the other run has none
  std::vector<std::string> differences;     ///< of machines and drivers: such ratios say nothing about builds
};

/// Rows with one identity within a run (a file to which a repetition was appended) count as one with more stretches.
/// The result points into `before` and `after`, which are merged in place.
Comparison compare(Run& before, Run& after);

/// The first part of it: pairs without verdicts, rows without a partner, how the machines differ.
Comparison paired(Run& before, Run& after);

/// Slower, and with all of its interval beyond `share`.
bool is_confirmed_slowdown(const Pair& pair, double share);

void print(const Comparison& comparison, std::ostream& out);
/// 1 and a sentence when a case is confirmed to be slower by more than `fail_on`, else 0.
int judged(const Comparison& comparison, double fail_on, std::ostream& out);
/// "5%" or "0.05". Throws Error.
double share_of(const std::string& text);

/// `backplane bench compare old.json[,old2.json...] new.json[,...] [--fail-on 5%]`; `args` begin behind "compare".
/// Returns 0, 1 for a confirmed slowdown beyond --fail-on, 2 for arguments without sense, 4 for files that cannot be
/// read.
int compare_main(const std::vector<std::string>& args, std::ostream& out, std::ostream& err);

}  // namespace backplane::bench::report
