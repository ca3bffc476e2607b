// SPDX-License-Identifier: Apache-2.0
// A course without a device: declared true times, a clock that launches advance, and noise of known kinds. What is best is
// known exactly, so what the race chooses can be judged without luck.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "backplane/plugin.h"
#include "contest.h"

namespace backplane::test {

/// What comes between a true time and a measured one. Times in nanoseconds.
struct Noise {
  const char* name;
  double sigma = 0;          ///< of the logarithm of a sample's time, each on its own
  double spike_share = 0;    ///< of samples that are hit by something else
  double spike_size = 0;     ///< mean of what a hit adds, relative
  double drift = 0;          ///< relative slow-down over `drift_ns`, then back (a triangle)
  double drift_ns = 0;
  double step = 0;           ///< relative slow-down from a random moment on
  double cold = 0;           ///< relative slow-down at the start, gone by a factor e every `cold_ns`
  double cold_ns = 0;
  double wander = 0;         ///< sigma of a slow random walk that all share (clock frequency), per millisecond
  double granularity = 0;    ///< steps of the timer
};
extern const std::vector<Noise> kNoises;

struct Instance {
  std::vector<double> ns;  ///< true times; 0 is the default
  double best() const;
};
/// Clusters of near-ties, wide spreads, good and bad defaults: from 2 to 24 variants of 2 us to 2 ms.
Instance make_instance(std::mt19937_64& engine);

class SimulatedCourse final : public autotune::Course {
 public:
  SimulatedCourse(const Instance& instance, const Noise& noise, uint64_t seed);
  Sample sample(size_t i, int64_t deadline_ns) override;
  int64_t now_ns() override { return static_cast<int64_t>(clock_); }

 private:
  double slow_down();
  const Instance& instance_;
  const Noise& noise_;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  double clock_ = 0, step_at_, wander_ = 0, wandered_at_ = 0;
};

std::vector<autotune::Contestant> contestants_of(const Instance& instance, size_t incumbent = SIZE_MAX);

}  // namespace backplane::test
