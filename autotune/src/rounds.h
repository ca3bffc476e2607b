// SPDX-License-Identifier: Apache-2.0
// Samples of contestants, round by round, and what became of each: what the race and its confirmation share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "contest.h"
#include "lanes.h"

namespace backplane::autotune {

/// "1.5 %" of a logarithm of a ratio.
std::string percent(double log_ratio);

class Rounds {
 public:
  Rounds(Course& course, size_t contestants, uint64_t seed) : course_(course), engine_(seed) {
    result.standings.resize(contestants);
  }
  bool alive(size_t contestant) const { return !is_faulty(result.standings[contestant].verdict); }
  /// Makes samples as long as the time until the deadline allows for so many of them. Returns how many fit then.
  double aim(size_t samples, int64_t deadline_ns) {
    const double left = static_cast<double>(deadline_ns) - static_cast<double>(course_.now_ns());
    const double length = sample_length(left, samples, course_.resolution_ns());
    course_.aim(length);
    return left / length;
  }
  /// One sample; `ns` is 0 when the contestant failed. False when the race has to end.
  bool take(size_t contestant, int64_t deadline_ns, double& ns);
  /// One sample of each live lane, in random order. False when time is up: the round then does not count.
  bool round(std::vector<Lane>& lanes, int64_t deadline_ns);
  void tell(const char* stage, uint32_t done, uint32_t of) { course_.on_round(stage, done, of); }
  void keep(size_t chosen, std::string why, bool decided);

  Result result;

 private:
  Course& course_;
  std::mt19937_64 engine_;
};

}  // namespace backplane::autotune
