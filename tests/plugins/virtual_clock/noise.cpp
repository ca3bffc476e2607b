// SPDX-License-Identifier: Apache-2.0
#include "noise.h"

#include <algorithm>
#include <cmath>

namespace backplane::test {
namespace {

constexpr Noise kNoises[] = {
    {.name = "none"},
    {.name = "quiet", .sigma = 0.003},
    {.name = "typical", .sigma = 0.01},
    {.name = "noisy", .sigma = 0.03},
    {.name = "very-noisy", .sigma = 0.08},
    {.name = "few-spikes", .sigma = 0.005, .spike_share = 0.02, .spike_size = 1},
    {.name = "many-spikes", .sigma = 0.01, .spike_share = 0.10, .spike_size = 0.5},
    {.name = "huge-spikes", .sigma = 0.01, .spike_share = 0.03, .spike_size = 20},
    {.name = "slow-drift", .sigma = 0.005, .drift = 0.2, .drift_ns = 1e9},
    {.name = "fast-drift", .sigma = 0.01, .drift = 0.3, .drift_ns = 5e7},
    {.name = "step", .sigma = 0.01, .step = 0.3},
    {.name = "cold-start", .sigma = 0.01, .cold = 2, .cold_ns = 5e6},
    {.name = "long-cold-start", .sigma = 0.005, .cold = 0.5, .cold_ns = 1e8},
    {.name = "wandering-clock", .sigma = 0.005, .wander = 0.005},
    {.name = "timer-1us", .sigma = 0.005, .granularity = 1e3},
    {.name = "timer-50us", .sigma = 0.005, .granularity = 5e4},
    {.name = "timer-200us", .sigma = 0.01, .granularity = 2e5},
    {.name = "shared-machine",
     .sigma = 0.03,
     .spike_share = 0.10,
     .spike_size = 1,
     .drift = 0.1,
     .drift_ns = 2e8,
     .wander = 0.003},
    {.name = "laptop", .sigma = 0.02, .spike_share = 0.05, .spike_size = 0.3, .step = 0.4, .cold = 0.5, .cold_ns = 2e7},
    {.name = "everything",
     .sigma = 0.03,
     .spike_share = 0.05,
     .spike_size = 2,
     .drift = 0.2,
     .drift_ns = 3e8,
     .step = 0.2,
     .cold = 1,
     .cold_ns = 1e7,
     .wander = 0.003,
     .granularity = 1e4},
};

}  // namespace

std::span<const Noise> noises() { return kNoises; }

NoiseSource::NoiseSource(const Noise& noise, uint64_t seed)
    : noise_(noise), engine_(seed), step_at_(std::uniform_real_distribution<double>(0, 2e8)(engine_)) {}

double NoiseSource::slow_down(double clock) {
  double factor = 1;
  if (noise_.drift_ns > 0) {
    const double phase = std::fmod(clock / noise_.drift_ns, 2);
    factor *= 1 + noise_.drift * (phase < 1 ? phase : 2 - phase);
  }
  if (clock > step_at_) factor *= 1 + noise_.step;
  if (noise_.cold_ns > 0) factor *= 1 + noise_.cold * std::exp(-clock / noise_.cold_ns);
  if (noise_.wander > 0) {
    wander_ += noise_.wander * std::sqrt((clock - wandered_at_) * 1e-6) * normal_(engine_);
    wander_ = std::clamp(wander_, -0.3, 0.3);
    wandered_at_ = clock;
    factor *= std::exp(wander_);
  }
  return factor;
}

double NoiseSource::take(double ns, double clock) {
  ns *= slow_down(clock);
  if (noise_.sigma > 0) ns *= std::exp(noise_.sigma * normal_(engine_));
  if (noise_.spike_share > 0) {
    std::uniform_real_distribution<double> uniform(0, 1);
    if (uniform(engine_) < noise_.spike_share) ns *= 1 - noise_.spike_size * std::log(1 - uniform(engine_));
  }
  return ns;
}

double NoiseSource::read(double clock) const {
  return noise_.granularity > 0 ? std::floor(clock / noise_.granularity) * noise_.granularity : clock;
}

}  // namespace backplane::test
