// SPDX-License-Identifier: Apache-2.0
// What comes between a true time and a measured one, as named settings that repeat exactly for a seed.
#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace backplane::test {

struct Noise {  ///< times in nanoseconds
  const char* name;
  double sigma = 0;        ///< of the logarithm of a sample's time, each on its own
  double spike_share = 0;  ///< of samples that are hit by something else
  double spike_size = 0;   ///< mean of what a hit adds, relative
  double drift = 0;        ///< relative slow-down over `drift_ns`, then back (a triangle)
  double drift_ns = 0;
  double step = 0;  ///< relative slow-down from a random moment of the first 200 ms on
  double cold = 0;  ///< relative slow-down at the start, gone by a factor e every `cold_ns`
  double cold_ns = 0;
  double wander = 0;       ///< sigma per root of a millisecond of a random walk that all share (clock frequency)
  double granularity = 0;  ///< steps of the timer
};
std::span<const Noise> noises();

/// The same noise, running along a clock.
class NoiseSource {
 public:
  NoiseSource(const Noise& noise, uint64_t seed);
  /// What work of `ns` that starts at `clock` really takes.
  double take(double ns, double clock);
  /// The timer's reading at `clock`.
  double read(double clock) const;
  const Noise& noise() const { return noise_; }

 private:
  double slow_down(double clock);
  Noise noise_;
  std::mt19937_64 engine_;
  std::normal_distribution<double> normal_;
  double step_at_, wander_ = 0, wandered_at_ = 0;
};

}  // namespace backplane::test
