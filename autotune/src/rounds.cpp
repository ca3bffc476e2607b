// SPDX-License-Identifier: Apache-2.0
#include "rounds.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>

namespace backplane::autotune {

double sample_length(double left_ns, size_t samples, double resolution_ns) {
  constexpr double kShortestNs = 100'000, kLongestNs = 1'000'000, kFewestTicks = 5, kTicks = 20, kFewer = 8;
  const double each = left_ns / static_cast<double>(samples);
  const double ticks = std::clamp(kFewer * each / std::max(resolution_ns, 1e-3), kFewestTicks, kTicks);
  return std::max(std::clamp(each, kShortestNs, kLongestNs), ticks * resolution_ns);
}

std::string percent(double log_ratio) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", std::fabs(std::expm1(log_ratio)) * 100);
  return text;
}

bool Rounds::take(size_t contestant, int64_t deadline_ns, double& ns) {
  Standing& standing = result.standings[contestant];
  Course::Sample sample = course_.sample(contestant, deadline_ns);
  if (sample.state == Course::State::no_time) return false;
  if (sample.state == Course::State::failed) {
    standing.verdict = sample.verdict;
    standing.reason = std::move(sample.reason);
    ns = 0;
    return sample.verdict != Verdict::device_lost && sample.verdict != Verdict::hung;
  }
  standing.times.push_back(sample.ns);
  ns = std::max(sample.ns, 1e-3);
  return true;
}

bool Rounds::round(std::vector<Lane>& lanes, int64_t deadline_ns) {
  std::vector<size_t> order(lanes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), engine_);
  std::vector<double> ns(lanes.size(), 0);
  for (size_t i : order) {
    if (!lanes[i].live) continue;
    if (!take(lanes[i].contestant, deadline_ns, ns[i])) return false;
    if (ns[i] == 0) withdraw(lanes, lanes[i].contestant);
  }
  for (size_t i : order) {
    if (lanes[i].live) lanes[i].logs.push_back(std::log(ns[i]));
  }
  ++result.rounds;
  return true;
}

void Rounds::keep(size_t chosen, std::string why, bool decided) {
  result.chosen = chosen;
  result.why = std::move(why);
  result.decided = decided;
}

}  // namespace backplane::autotune
