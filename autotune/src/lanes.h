// SPDX-License-Identifier: Apache-2.0
// The rounds of a race as columns: who took part, and how two compare over the rounds that both did.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "statistics.h"

namespace backplane::autotune {

/// A place in the rounds. The twin is a second lane of the baseline.
struct Lane {
  size_t contestant;
  std::vector<double> logs;  ///< ln(ns), one per round run so far; all lanes begin with round 0
  bool live = true;
  bool immune = false;
};

/// ln(time of a / time of b) over the rounds that both took part in.
inline std::vector<double> ratios(const Lane& a, const Lane& b) {
  std::vector<double> d(std::min(a.logs.size(), b.logs.size()));
  for (size_t r = 0; r < d.size(); ++r) d[r] = a.logs[r] - b.logs[r];
  return d;
}

/// The first lane of a contestant: the last one is the twin's.
inline const Lane& lane_of(const std::vector<Lane>& lanes, size_t contestant) {
  return *std::find_if(lanes.begin(), lanes.end(), [&](const Lane& l) { return l.contestant == contestant; });
}

/// All that is known of a contestant as one lane: of the baseline and its twin the mean of both, so the variance of
/// a ratio to it is a quarter less.
inline Lane all_of(const std::vector<Lane>& lanes, size_t contestant) {
  Lane all = lane_of(lanes, contestant);
  const Lane& twin = lanes.back();
  if (twin.contestant != contestant || &twin == &lane_of(lanes, contestant)) return all;
  const size_t both = std::min(all.logs.size(), twin.logs.size());
  for (size_t r = 0; r < both; ++r) all.logs[r] = (all.logs[r] + twin.logs[r]) / 2;
  return all;
}

inline void withdraw(std::vector<Lane>& lanes, size_t contestant) {
  for (Lane& lane : lanes) {
    if (lane.contestant == contestant) lane.live = false;
  }
}

inline std::vector<size_t> live(const std::vector<Lane>& lanes) {
  std::vector<size_t> found;
  for (size_t i = 0; i < lanes.size(); ++i) {
    if (lanes[i].live) found.push_back(i);
  }
  return found;
}

/// The live lane with the least time, the twin aside; at least one lane is live.
inline size_t leader_of(const std::vector<Lane>& lanes, size_t twin) {
  const std::vector<size_t> running = live(lanes);
  size_t best = running.front();
  double least = 0;
  for (size_t i : running) {
    if (i == twin) continue;
    const double mean = trimmed_interval(ratios(lanes[i], lanes[running.front()]), 1).mean;
    if (mean < least) least = mean, best = i;
  }
  return best;
}

}  // namespace backplane::autotune
