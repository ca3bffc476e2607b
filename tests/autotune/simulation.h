// SPDX-License-Identifier: Apache-2.0
// A course without a device: declared true times, a clock that launches advance, and noise of known kinds. What is best
// is known exactly, so what the race chooses can be judged without luck. Fast enough for tens of thousands of races;
// the plugin virtual_clock shows the same to the whole tuner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "contest.h"
#include "plugins/virtual_clock/noise.h"
#include "plugins/virtual_clock/surface.h"

namespace backplane::test {

class SimulatedCourse final : public autotune::Course {
 public:
  SimulatedCourse(const Instance& instance, const Noise& noise, uint64_t seed)
      : instance_(instance), noise_(noise, seed) {}
  Sample sample(size_t i, int64_t deadline_ns) override;
  int64_t now_ns() override { return static_cast<int64_t>(clock_); }
  double resolution_ns() const override { return noise_.noise().granularity; }
  void aim(double sample_ns) override { sample_ns_ = sample_ns; }

 private:
  const Instance& instance_;
  NoiseSource noise_;
  double clock_ = 0, sample_ns_ = std::max(1e5, 20 * resolution_ns());
};

std::vector<autotune::Contestant> contestants_of(const Instance& instance, size_t incumbent = SIZE_MAX);

}  // namespace backplane::test
